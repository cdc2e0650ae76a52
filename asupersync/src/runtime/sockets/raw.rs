//! What the system's sockets offer and no safe interface does.

use crate::world::net::Credentials;
use socket2::Socket;
#[cfg(target_os = "linux")]
use socket2::{MaybeUninitSlice, MsgHdrMut};
use std::io;
use std::mem::MaybeUninit;

/// A buffer as `socket2` wants it.
pub(super) fn uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the types have one layout, and the functions of `socket2` that
    // take such a buffer promise to write nothing but initialised bytes to it.
    unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) }
}

/// Makes [`recv_told`] tell; TCP only.
#[cfg(target_os = "linux")]
pub(super) fn tell_left(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("a few bytes");
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel
    // reads `len` bytes, which `on` has.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INQ,
            std::ptr::from_ref(&on).cast(),
            len,
        )
    };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads, and tells how much is left, if the system says so: more than nothing
/// also when the end of the stream is.
#[cfg(target_os = "linux")]
pub(super) fn recv_told(socket: &Socket, buf: &mut [u8]) -> io::Result<(usize, Option<usize>)> {
    /// Where a control message has its level, its type and its content.
    const LEVEL: usize = size_of::<usize>();
    const INT: usize = size_of::<libc::c_int>();
    const CONTENT: usize = LEVEL + 2 * INT;
    let mut control = [MaybeUninit::new(0); 32];
    let mut parts = [MaybeUninitSlice::new(uninit(buf))];
    let mut message = MsgHdrMut::new()
        .with_buffers(&mut parts)
        .with_control(&mut control);
    let n = socket.recvmsg(&mut message, 0)?;
    let told = message.control_len();
    // SAFETY: every byte was initialised above.
    let control = control.map(|byte| unsafe { byte.assume_init() });
    let int = |at: usize| {
        let bytes = control[at..at + INT].try_into().expect("as many bytes");
        libc::c_int::from_ne_bytes(bytes)
    };
    let is_left = told >= CONTENT + INT
        && (int(LEVEL), int(LEVEL + INT)) == (libc::IPPROTO_TCP, libc::TCP_CM_INQ);
    let left = is_left.then(|| usize::try_from(int(CONTENT)).unwrap_or(usize::MAX));
    Ok((n, left))
}

/// Makes [`recv_told`] tell, where the system can.
#[cfg(not(target_os = "linux"))]
pub(super) fn tell_left(_: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads, and tells nothing.
#[cfg(not(target_os = "linux"))]
pub(super) fn recv_told(socket: &Socket, buf: &mut [u8]) -> io::Result<(usize, Option<usize>)> {
    Ok((socket.recv(uninit(buf))?, None))
}

/// Who holds the other end of a Unix stream.
#[cfg(target_os = "linux")]
pub(super) fn peer_credentials(socket: &Socket) -> io::Result<Credentials> {
    use std::os::fd::AsRawFd;
    let mut found = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("a few bytes");
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel
    // writes at most `len` bytes, which `found` has.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            std::ptr::from_mut(&mut found).cast(),
            &raw mut len,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Credentials {
        uid: found.uid,
        gid: found.gid,
        // A process that has no number in our namespace is called 0.
        pid: Some(found.pid).filter(|pid| *pid != 0),
    })
}

/// Who holds the other end of a Unix stream.
#[cfg(not(target_os = "linux"))]
pub(super) fn peer_credentials(_: &Socket) -> io::Result<Credentials> {
    let message = "peer credentials are implemented for Linux only";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

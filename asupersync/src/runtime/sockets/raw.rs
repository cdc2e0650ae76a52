//! What the system's sockets offer and no safe interface does.

use crate::world::net::Credentials;
use socket2::Socket;
use std::io;
use std::mem::MaybeUninit;

/// A buffer as `socket2` wants it.
pub(super) fn uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the types have one layout, and the functions of `socket2` that
    // take such a buffer promise to write nothing but initialised bytes to it.
    unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) }
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

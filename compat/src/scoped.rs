//! A region with a boundary of its own, in one call.

use crate::boundary::Boundary;
use crate::close::Closed;
use crate::config::BoundaryConfig;
use crate::error::OpenError;
use crate::report::EscalationReport;
use asupersync::{Cx, RegionError, RegionOptions, Reported, Scope};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// What the body of [`boundary`] gets: the [`Boundary`], and the [`Scope`] of the region that owns it.
#[derive(Clone, Debug)]
pub struct Bounded {
    scope: Scope,
    boundary: Boundary,
}

impl Bounded {
    /// The region, to spawn into and to wait with.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The boundary alone, to hand to tasks of the region.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }
}

impl Deref for Bounded {
    type Target = Boundary;

    fn deref(&self) -> &Boundary {
        &self.boundary
    }
}

/// Why there is no value, or why the region with the boundary ended badly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The boundary did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The region did not open, or something in it went wrong; a boundary that leaked is such a thing.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The system refused what it takes to receive signals.
    #[error("signals cannot be received; free file descriptors or threads: {0}")]
    Signals(#[source] std::io::Error),
    /// The runtime did not start.
    #[error("the runtime did not start: {0}")]
    Start(#[source] asupersync::Error),
}

/// Runs `body` in a region with a boundary, and closes the boundary by the ladder as the region's finalizer.
///
/// # Cancellation
/// As for [`Cx::region`]. A request to cancel fires the boundary's token and revokes its guests at once;
/// adopted and delegated futures then have the cooperative budget to end.
///
/// # Errors
/// [`RunError`]. What had to be dropped by force is no error, but is written to standard error;
/// [`boundary_report`] hands it over instead.
///
/// # Panics
/// A panic of the body is raised again once the region is closed.
pub async fn boundary<T, F, Fut>(cx: &Cx, body: F) -> Result<T, RunError>
where
    F: FnOnce(Bounded) -> Fut,
    Fut: Future<Output = T>,
{
    boundary_with(cx, BoundaryConfig::default(), body).await
}

/// As [`boundary`], with a configuration; its name is the region's too.
///
/// # Errors
/// As [`boundary`].
///
/// # Panics
/// As [`boundary`].
pub async fn boundary_with<T, F, Fut>(
    cx: &Cx,
    config: BoundaryConfig,
    body: F,
) -> Result<T, RunError>
where
    F: FnOnce(Bounded) -> Fut,
    Fut: Future<Output = T>,
{
    let opened = OnceLock::new();
    let reported = in_region(cx, config, body, &opened).await?;
    reported.into_result()?.map_err(RunError::Open)
}

/// As [`boundary_with`], with both reports whatever happened; a panic of the body is reported, not raised.
///
/// # Errors
/// When the region or the boundary was not opened at all.
pub async fn boundary_report<T, F, Fut>(
    cx: &Cx,
    config: BoundaryConfig,
    body: F,
) -> Result<(Reported<T>, Arc<EscalationReport>), RunError>
where
    F: FnOnce(Bounded) -> Fut,
    Fut: Future<Output = T>,
{
    let opened = OnceLock::new();
    let claiming = async |bounded: Bounded| {
        bounded.books().claim();
        body(bounded).await
    };
    let Reported {
        value,
        report,
        panic,
    } = in_region(cx, config, claiming, &opened).await?;
    let value = value.transpose()?;
    let Some(boundary) = opened.get() else {
        // The body was dropped before its first step: the region was cancelled by force.
        return Err(RunError::Region(RegionError::Ended(Box::new(report))));
    };
    // The finalizer has waited for it, unless its time was over; the ladder ends in any case.
    let closed = Closed::new(boundary.books()).await;
    Ok((
        Reported {
            value,
            report,
            panic,
        },
        closed,
    ))
}

/// Opens the region, and in it the boundary.
async fn in_region<T, F, Fut>(
    cx: &Cx,
    config: BoundaryConfig,
    body: F,
    opened: &OnceLock<Boundary>,
) -> Result<Reported<Result<T, OpenError>>, RegionError>
where
    F: FnOnce(Bounded) -> Fut,
    Fut: Future<Output = T>,
{
    let options = RegionOptions::named(config.name.to_string());
    let body = async move |scope: Scope| {
        let boundary = Boundary::open(&scope, config)?;
        let boundary = opened.get_or_init(|| boundary).clone();
        Ok(body(Bounded { scope, boundary }).await)
    };
    cx.region_report(options, body).await
}

//! How a cell goes, shown while it runs: also when native code holds the child's interpreter, so that the
//! child can say nothing.
//!
//! The child says by its telemetry which display a cell shall be shown in, and says no more when it is about
//! to put its report there. So what is drawn of a telemetry that names a display comes before the report,
//! since all that the child publishes goes out by the same thread. The child opens the display itself where
//! the user has asked for it in the cell. Where that is stuck behind the lock of the interpreter, or where
//! all cells are shown, it is opened here.

use super::message;
use super::relay::Relay;
use crate::render::{live_html, live_text};
use crate::report::{LIVE_AFTER, Live};
use std::time::{Duration, Instant};

/// Between two pictures, at least.
const PERIOD: Duration = Duration::from_millis(250);
/// And at most. A front end that nobody looks at may keep them all.
const LONGEST_PERIOD: Duration = Duration::from_secs(2);
/// After this share of the cell's time so far the curve has moved by a pixel or so.
const STEPS: u32 = 500;

impl Relay {
    /// When it is time to look whether a cell is to be shown; `None` while none runs.
    pub(super) fn live_due(&self) -> Option<Instant> {
        let since = self.requests.cell_since()?;
        Some(self.live_due.max(since + Duration::from_nanos(LIVE_AFTER.0)))
    }

    /// Shows how the cell goes that the child tells of, if it is time and it shall be shown.
    pub(super) fn show_live(&mut self) {
        let now = Instant::now();
        if self.live_due().is_some_and(|due| due <= now) {
            let elapsed = self.show_told().unwrap_or_default();
            self.live_due = now + (elapsed / STEPS).clamp(PERIOD, LONGEST_PERIOD);
        }
    }

    /// The kernel ends while a cell runs: what was shown of it would say for ever that it goes on.
    pub(super) fn end_shown(&mut self) {
        let Some(told) = self.child.told() else { return };
        let message = told.cell.as_ref().map_or("", |cell| &cell.message);
        let Some(request) = self.requests.unfinished(message) else { return };
        let Some(id) = request.display.clone() else { return };
        let code = request.cell.as_ref().map_or("", |cell| cell.source());
        let Some(mut live) = Live::told(&told, code) else { return };
        live.cut_short = true;
        let header = request.header.clone();
        let shown = message::shown(live_html(&live), live_text(&live), Some(&id));
        self.publish("update_display_data", Some(&header), &shown);
    }

    /// Returns how long it has been running; `None` where nothing was shown.
    fn show_told(&mut self) -> Option<Duration> {
        let told = self.child.told()?;
        let told_cell = told.cell.as_ref()?;
        let id = told_cell.display.as_deref()?;
        let request = self.requests.unfinished(&told_cell.message)?;
        let cell = request.cell.clone().filter(|cell| !cell.silent)?;
        let live = Live::told(&told, cell.source()).filter(|live| !live.ended)?;
        let opened = request.display.as_deref() == Some(id);
        if !opened && !request.has_place() {
            return None;
        }
        request.display = Some(id.to_owned());
        let header = request.header.clone();
        let (says_busy, says_input) = (request.busy.take_over(), request.input.take_over());
        let parent = Some(&*header);
        if says_busy {
            self.publish_state("busy", parent);
        }
        if says_input {
            let count = self.requests.next_count(cell.is_counted());
            self.publish_input(&cell.code, count, parent);
        }
        let kind = if opened { "update_display_data" } else { "display_data" };
        let shown = message::shown(live_html(&live), live_text(&live), Some(id));
        self.publish(kind, parent, &shown);
        Some(Duration::from_nanos(live.elapsed.0))
    }
}

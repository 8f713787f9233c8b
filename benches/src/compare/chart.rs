//! The report as one picture: how many times faster, work by work.
//!
//! One bar for every charted row, as long as wimlib's time divided by ours; a thin line marks 1, which
//! is wimlib. Light and dark follow the reader's settings.

use std::fmt::Write as _;

use super::{Measured, Report};

const WIDTH: f64 = 940.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;

const STYLE: &str = "\
text { font: 14px system-ui, sans-serif; fill: #24292f }\n\
.head { font-size: 18px; font-weight: 600 }\n\
.note { font-size: 12px; font-weight: 400; fill: #57606a }\n\
.value { font-weight: 600 }\n\
.bar { fill: #1f6feb }\n\
.peer { fill: #8c959f }\n\
.one { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 4 3 }\n\
@media (prefers-color-scheme: dark) {\n\
text { fill: #e6edf3 } .note { fill: #9da7b3 } .bar { fill: #58a6ff } .one { stroke: #9da7b3 } }\n";

/// One bar.
struct Bar<'a> {
    title: &'a str,
    /// wimlib's time divided by ours.
    times: f64,
    ours: f64,
    theirs: f64,
}

/// The picture.
pub(super) fn svg(report: &Report) -> String {
    let bars: Vec<Bar<'_>> = report.rows.iter().filter(|row| row.charted).filter_map(bar).collect();
    let longest = bars.iter().map(|bar| bar.times).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let height = TOP + ROW * bars.len() as f64 + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"How many times faster than wimlib\">\n<style>\n{STYLE}</style>\n\
         <text class=\"head\" x=\"16\" y=\"28\">How many times faster than {}</text>\n",
        escape(report.machine.version("wimlib"))
    );
    for (index, bar) in bars.iter().enumerate() {
        draw(&mut svg, bar, TOP + ROW * index as f64, scale);
    }
    let one = LEFT + scale;
    let bottom = TOP + ROW * bars.len() as f64;
    let _ = write!(
        svg,
        "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\n\
         <text class=\"note\" x=\"{one:.1}\" y=\"{:.1}\" text-anchor=\"middle\">wimlib = 1</text>\n\
         <text class=\"note\" x=\"16\" y=\"{:.1}\">{}</text>\n</svg>\n",
        TOP - 8.0,
        TOP - 14.0,
        bottom + 26.0,
        escape(&report.machine.line())
    );
    svg
}

fn bar(row: &Measured) -> Option<Bar<'_>> {
    let ours = row.contenders.first()?;
    let theirs = row.contenders.iter().find(|figures| figures.name == "wimlib")?;
    Some(Bar {
        title: &row.title,
        times: theirs.times_ours.median,
        ours: ours.wall.median,
        theirs: theirs.wall.median,
    })
}

fn draw(svg: &mut String, bar: &Bar<'_>, top: f64, scale: f64) {
    let length = bar.times * scale;
    let (middle, end) = (top + BAR / 2.0 + 5.0, LEFT + length + 8.0);
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect class=\"bar\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"3\"/>\n\
         <text class=\"value\" x=\"{end:.1}\" y=\"{middle:.1}\">{:.1} ×\
         <tspan class=\"note\" dx=\"6\">{} instead of {}</tspan></text>\n",
        LEFT - 12.0,
        escape(bar.title),
        bar.times,
        seconds(bar.ours),
        seconds(bar.theirs)
    );
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

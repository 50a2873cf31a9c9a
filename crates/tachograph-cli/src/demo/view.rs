//! What the demo says at its end.
//!
//! Owns the layout of what the trace holds; `done` that of what the workload has done. Called by `demo`.

mod done;

use super::hot::{Cost, Hot};
use crate::stats::{Report, view};
use crate::table::{Align, Table};
use crate::units::{count, percent};
use std::io::{self, Write};
use std::path::Path;
use tachograph::Summary;

pub use done::{files, service};

/// Functions in each of the two lists.
const FUNCTIONS: usize = 10;
/// Characters of a function's name.
const NAME_WIDTH: usize = 90;

/// Says what is in the trace and how to open it.
pub fn trace(
    path: &Path,
    report: &Report,
    summary: &Summary,
    hot: &Hot,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out)?;
    view::title(report, &path.display().to_string(), out)?;
    view::summary(report, out)?;
    if let Some(samples) = &summary.samples {
        let process = samples.process_cpu.as_secs_f64();
        let unseen = samples.never_sampled_cpu().as_secs_f64();
        let text = format!(
            "{process:.3} s by its own clock, {unseen:.3} s of it in threads never sampled"
        );
        view::line(out, "process", &text)?;
    }
    functions("self", hot, |cost| cost.own, out)?;
    functions("with callees", hot, |cost| cost.with_callees, out)?;
    let name = quoted(path);
    writeln!(out, "\nOpen it:")?;
    writeln!(
        out,
        "  go tool trace {name}      (Go 1.26 or newer, in the browser)"
    )?;
    writeln!(out, "  tacho stats {name}")
}

fn functions(title: &str, hot: &Hot, by: fn(&Cost) -> u64, out: &mut impl Write) -> io::Result<()> {
    let top = hot.top(FUNCTIONS, by);
    if top.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("ticks", Align::Right),
        (title, Align::Right),
        ("hottest functions", Align::Left),
    ]);
    for (name, cost) in top {
        let ticks = by(&cost);
        table.row([count(ticks), percent(ticks, hot.total), shortened(name)]);
    }
    writeln!(out)?;
    table.write(out)
}

/// The name without its generic arguments if it is long, and without its beginning if it is still.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_WIDTH {
        return name.to_owned();
    }
    let name = without_arguments(name);
    match name.chars().count().checked_sub(NAME_WIDTH) {
        None | Some(0) => name,
        // The end of a name tells more than its beginning.
        Some(over) => std::iter::once('…')
            .chain(name.chars().skip(over + 1))
            .collect(),
    }
}

/// `call<fn(&A)>` as `call<..>`; `<A as B>::call` stays, for there the brackets hold what the function belongs to.
fn without_arguments(name: &str) -> String {
    let mut short = String::new();
    let mut depth = 0_usize;
    let mut last = ' ';
    for c in name.chars() {
        // N.B. the arrow of a function type is no bracket.
        let closes = c == '>' && last != '-';
        let opens = c == '<' && (depth > 0 || last.is_alphanumeric() || matches!(last, '_' | ':'));
        if opens {
            depth += 1;
        }
        match depth {
            0 => short.push(c),
            1 if opens => short += "<..>",
            _ => {}
        }
        if closes {
            depth = depth.saturating_sub(1);
        }
        last = c;
    }
    short
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_end() {
        let long = format!("{}::end", "é".repeat(200));
        let shown = shortened(&long);
        assert_eq!(shown.chars().count(), NAME_WIDTH);
        assert!(shown.starts_with('…') && shown.ends_with("::end"));
        let generic = format!(
            "<A as B<C>>::call<fn(&{}) -> D, E<F>>",
            "x".repeat(NAME_WIDTH)
        );
        assert_eq!(shortened(&generic), "<A as B<..>>::call<..>");
        let exact = "x".repeat(NAME_WIDTH);
        assert_eq!(shortened(&exact), exact);
    }

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        let shown = ["a/b-1.trace", "my trace", "it's"].map(|path| quoted(Path::new(path)));
        assert_eq!(shown, ["a/b-1.trace", "'my trace'", r"'it'\''s'"]);
    }
}

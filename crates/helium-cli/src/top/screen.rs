//! The screen of `helium top`.
//!
//! Invariant: the terminal is as it was when this ends, whatever ends it.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Block, Gauge, Paragraph, Row, Sparkline, Table},
};

use super::{
    Looks, NOTICE,
    rates::{COUNTERS, Round, WAITS},
};
use crate::{
    failure::{self, Result},
    interrupt, text,
};

/// Which of [`COUNTERS`] the curve shows.
const ITEMS_WRITTEN: usize = 1;
/// Looks that the curve shows at most.
const CURVE: usize = 400;

/// Shows looks until someone types q or Ctrl-C, or the volume is closed.
pub fn run(mut looks: Looks) -> Result<()> {
    let complain = |why: io::Error| failure::system("cannot draw on the terminal", why);
    let mut terminal = ratatui::try_init().map_err(complain)?;
    let shown = show(&mut looks, &mut terminal);
    let restored = ratatui::try_restore();
    match shown {
        Ok(Some(why)) => println!("{why}"),
        Ok(None) => {}
        Err(why) => return Err(why),
    }
    restored.map_err(complain)
}

/// Why it ended, unless someone wanted it to.
fn show(looks: &mut Looks, terminal: &mut DefaultTerminal) -> Result<Option<String>> {
    let complain = |why: io::Error| failure::system("cannot draw on the terminal", why);
    let mut curve = VecDeque::new();
    let mut round = Round::between(&looks.last.1, &looks.last.1, looks.interval);
    loop {
        terminal
            .draw(|frame| draw(frame, &round, &curve))
            .map_err(complain)?;
        let due = Instant::now() + looks.interval;
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if quits(left.min(NOTICE)).map_err(complain)? || interrupt::asked() {
                return Ok(None);
            }
        }
        let Some(next) = looks.next()? else {
            let url = &round.report.url;
            return Ok((looks.left > 0).then(|| format!("{url} is not open any more")));
        };
        curve.push_front(next.rates.get(ITEMS_WRITTEN).map_or(0, |rate| *rate as u64));
        curve.truncate(CURVE);
        round = next;
    }
}

/// Shows what `next` gives, line by line, until someone types q or Ctrl-C, or there is nothing more.
pub fn run_lines(
    title: &str,
    interval: Duration,
    mut next: impl FnMut() -> Result<Option<Vec<String>>>,
) -> Result<()> {
    let complain = |why: io::Error| failure::system("cannot draw on the terminal", why);
    let mut terminal = ratatui::try_init().map_err(complain)?;
    let mut show = || -> Result<()> {
        let mut lines = Vec::new();
        loop {
            let draw = |frame: &mut Frame<'_>| {
                let head = [Line::from(title.bold())];
                let body = lines.iter().map(|line: &String| Line::from(line.as_str()));
                let foot = [Line::from("q quits").dim()];
                let all: Vec<_> = head.into_iter().chain(body).chain(foot).collect();
                frame.render_widget(Paragraph::new(all), frame.area());
            };
            terminal.draw(draw).map_err(complain)?;
            let due = Instant::now() + interval;
            while let Some(left) = due.checked_duration_since(Instant::now()) {
                if quits(left.min(NOTICE)).map_err(complain)? || interrupt::asked() {
                    return Ok(());
                }
            }
            match next()? {
                Some(new) => lines = new,
                None => return Ok(()),
            }
        }
    };
    let shown = show();
    let restored = ratatui::try_restore();
    shown?;
    restored.map_err(complain)
}

fn quits(wait: Duration) -> io::Result<bool> {
    if !event::poll(wait)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read()? else {
        return Ok(false);
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(key.kind == KeyEventKind::Press
        && match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => control,
            _ => false,
        })
}

/// The least screen that has room for everything; on a smaller one there are lines.
const WHOLE_COLUMNS: u16 = 70;
const WHOLE_ROWS: u16 = 24;
/// The least that has room for the curve, too.
const CURVE_ROWS: u16 = 28;

fn draw(frame: &mut Frame<'_>, round: &Round, curve: &VecDeque<u64>) {
    let all = frame.area();
    if all.width < WHOLE_COLUMNS || all.height < WHOLE_ROWS {
        return draw_small(frame, round);
    }
    let curve_rows = if all.height < CURVE_ROWS { 0 } else { 3 };
    let areas = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(3),
        Constraint::Length(COUNTERS.len() as u16 + 2),
        Constraint::Length(WAITS.len() as u16),
        Constraint::Length(curve_rows),
        Constraint::Min(4),
        Constraint::Length(1),
    ]);
    let [head, space, middle, waits, chart, datastores, foot] = areas.areas(frame.area());
    draw_head(frame, head, round);
    draw_space(frame, space, round);
    draw_waits(frame, waits, round);
    let [rates, memory] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(middle);
    draw_rates(frame, rates, round);
    draw_memory(frame, memory, round);
    let curve = Sparkline::default()
        .block(Block::bordered().title(" items written "))
        .style(Style::new().fg(Color::Cyan))
        .data(curve.iter().copied());
    frame.render_widget(curve, chart);
    draw_datastores(frame, datastores, round);
    frame.render_widget(Line::from("q quits").dim(), foot);
}

/// What matters most, a line each: on 50 columns and 12 rows all of it is seen.
fn draw_small(frame: &mut Frame<'_>, round: &Round) {
    let [space, url, process] = [used(round), round.report.url.clone(), process(round)];
    let mut lines = vec![
        Line::from(url.bold()),
        Line::from(process),
        Line::from(format!("{:17} {space}", "used")),
    ];
    let rate = |name: &str| {
        let found = COUNTERS
            .iter()
            .zip(&round.rates)
            .find(|((known, _), _)| *known == name);
        found.map(|((name, label), rate)| (*label, Round::shown(name, *rate), String::new()))
    };
    let wait = |name: &str| {
        let found = WAITS
            .iter()
            .zip(&round.waits)
            .find(|((known, _), _)| *known == name);
        found.map(|((name, label), wait)| {
            (
                *label,
                Round::shown(name, wait.rate),
                Round::times(&wait.latency).join(" "),
            )
        })
    };
    let rows = [
        rate("writes"),
        wait("commits"),
        wait("device_reads"),
        rate("read_cache_hits"),
        wait("syncs"),
        rate("user_bytes"),
        rate("cleaner_bytes"),
        rate("written_bytes"),
    ];
    let rows = rows.into_iter().flatten();
    lines.extend(rows.map(|(label, rate, times)| {
        // Fifty columns: a figure, and two times of seven places.
        Line::from(format!("{label:17} {rate:>11} {times}"))
    }));
    lines.push(Line::from("q quits; times are p50 and p99").dim());
    frame.render_widget(Paragraph::new(lines), frame.area());
}

fn process(round: &Round) -> String {
    let report = &round.report;
    let uptime = Duration::from_secs(report.uptime_ms / 1000);
    format!(
        "process {} ({}), for {}",
        report.process,
        report.command,
        indicatif::HumanDuration(uptime)
    )
}

fn used(round: &Round) -> String {
    let size = |name| text::size(round.report.figure(name));
    format!("{} of {}", size("used_bytes"), size("capacity_bytes"))
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let url = round.report.url.as_str().bold();
    let lines = vec![Line::from(url), Line::from(process(round))];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_space(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let used = round.report.figure("used_bytes");
    let capacity = round.report.figure("capacity_bytes");
    let share = (used as f64 / capacity.max(1) as f64).clamp(0.0, 1.0);
    let gauge = Gauge::default()
        .block(Block::bordered().title(" used "))
        .gauge_style(Style::new().fg(if share < 0.9 {
            Color::Green
        } else {
            Color::Red
        }))
        .ratio(share)
        .label(self::used(round));
    frame.render_widget(gauge, area);
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let rows = COUNTERS
        .iter()
        .zip(&round.rates)
        .map(|((name, label), rate)| Row::new([(*label).to_owned(), Round::shown(name, *rate)]));
    let table = Table::new(rows, [Constraint::Length(18), Constraint::Min(10)]);
    frame.render_widget(table.block(Block::bordered().title(" now ")), area);
}

/// How long the devices took.
fn draw_waits(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let rows = WAITS.iter().zip(&round.waits).map(|((name, label), wait)| {
        let rate = Round::shown(name, wait.rate);
        Row::new([(*label).to_owned(), rate, Round::named_times(&wait.latency)])
    });
    let widths = [
        Constraint::Length(18),
        Constraint::Length(14),
        Constraint::Min(20),
    ];
    frame.render_widget(Table::new(rows, widths), area);
}

fn draw_memory(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let sizes = [
        ("live items", "live_bytes"),
        ("index memory", "index_bytes"),
        ("read cache", "read_cache_bytes"),
        ("versions", "version_bytes"),
        ("written", "written_bytes"),
    ];
    let rows = sizes
        .map(|(label, name)| Row::new([label.to_owned(), text::size(round.report.figure(name))]));
    let table = Table::new(rows, [Constraint::Length(18), Constraint::Min(10)]);
    frame.render_widget(table.block(Block::bordered().title(" in all ")), area);
}

fn draw_datastores(frame: &mut Frame<'_>, area: Rect, round: &Round) {
    let rows = round
        .report
        .datastores
        .iter()
        .map(|one| Row::new([one.name.clone(), text::count(one.items)]));
    let table = Table::new(rows, [Constraint::Min(20), Constraint::Length(20)])
        .header(Row::new(["datastore", "items"]).bold());
    frame.render_widget(table.block(Block::bordered()), area);
}

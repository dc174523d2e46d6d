//! The results as a picture: operations per second as bars, latencies as lines.

use std::error::Error;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    report::{PERCENTILES, time},
    run::Measured,
};

const SIZE: (u32, u32) = (1100, 900);
const TITLE_HEIGHT: u32 = 44;
const FONT: &str = "sans-serif";
const GRAY: RGBColor = RGBColor(0x55, 0x55, 0x55);

/// Colors that can be told from each other, also beside each other.
const COLORS: [RGBColor; 11] = [
    RGBColor(0x4e, 0x79, 0xa7),
    RGBColor(0xf2, 0x8e, 0x2b),
    RGBColor(0x59, 0xa1, 0x4f),
    RGBColor(0xe1, 0x57, 0x59),
    RGBColor(0x9c, 0x75, 0x5f),
    RGBColor(0x76, 0xb7, 0xb2),
    RGBColor(0xb0, 0x7a, 0xa1),
    RGBColor(0xed, 0xc9, 0x48),
    RGBColor(0xff, 0x9d, 0xa7),
    RGBColor(0x2f, 0x4b, 0x7c),
    RGBColor(0x79, 0x79, 0x79),
];

/// Draws them, under a title: the picture's file.
pub fn draw(title: &str, measured: &[Measured]) -> Result<String, Box<dyn Error>> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (head, body) = area.split_vertically(TITLE_HEIGHT);
        let style = TextStyle::from((FONT, 15).into_font())
            .color(&GRAY)
            .pos(Pos::new(HPos::Center, VPos::Center));
        let middle = (SIZE.0 as i32 / 2, TITLE_HEIGHT as i32 / 2 + 4);
        head.draw(&Text::new(title, middle, style))?;
        let (above, below) = body.split_vertically((SIZE.1 - TITLE_HEIGHT) / 2);
        rates(measured, &above)?;
        latencies(measured, &below)?;
        area.present()?;
    }
    Ok(picture)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn color(number: usize) -> RGBColor {
    COLORS[number % COLORS.len()]
}

/// What belongs to a place on an axis of places: nothing between two of them.
fn at_place<T>(all: &[T], place: f64) -> Option<&T> {
    let nearest = place.round();
    let is_there = (place - nearest).abs() < 0.01 && nearest >= 0.0;
    all.get(nearest as usize).filter(|_| is_there)
}

fn rates(measured: &[Measured], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let millions = |one: &Measured| one.rate() / 1e6;
    let highest = measured.iter().map(millions).fold(1e-6, f64::max);
    let count = measured.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("million operations per second", (FONT, 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.5..count - 0.5, 0.0..highest * 1.12)?;
    let name = |place: &f64| {
        let one = at_place(measured, *place);
        one.map_or(String::new(), |one| one.work.name().to_owned())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.4))
        .x_labels(measured.len() * 2 + 1)
        .x_label_formatter(&name)
        .x_label_style((FONT, 13))
        .y_label_style((FONT, 13))
        .draw()?;
    chart.draw_series(measured.iter().enumerate().map(|(place, one)| {
        let at = place as f64;
        let corners = [(at - 0.35, 0.0), (at + 0.35, millions(one))];
        Rectangle::new(corners, color(place).filled())
    }))?;
    let above = TextStyle::from((FONT, 13).into_font()).pos(Pos::new(HPos::Center, VPos::Bottom));
    chart.draw_series(measured.iter().enumerate().map(|(place, one)| {
        let rate = millions(one);
        let at = (place as f64, rate + highest * 0.01);
        let digits = if rate < 0.1 { 3 } else { 2 };
        Text::new(format!("{rate:.digits$}"), at, above.clone())
    }))?;
    Ok(())
}

fn latencies(measured: &[Measured], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let at = |one: &Measured, percentile| one.latencies.value_at_percentile(percentile).max(1);
    let all = measured
        .iter()
        .flat_map(|one| PERCENTILES.map(|(percentile, _)| at(one, percentile)));
    let (lowest, highest) = all.fold((u64::MAX, 1), |(low, high), ns| (low.min(ns), high.max(ns)));
    let lowest = lowest.min(highest) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("latency, by percentile", (FONT, 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(
            -0.2..PERCENTILES.len() as f64 - 0.1,
            (lowest / 2.0..highest as f64 * 2.0).log_scale(),
        )?;
    let name = |place: &f64| {
        let one = at_place(&PERCENTILES, *place);
        one.map_or(String::new(), |(_, name)| (*name).to_owned())
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.4))
        .x_labels(PERCENTILES.len() * 2 + 2)
        .x_label_formatter(&name)
        .y_label_formatter(&|ns| time(*ns as u64))
        .x_label_style((FONT, 13))
        .y_label_style((FONT, 13))
        .disable_x_mesh()
        .draw()?;
    for (number, one) in measured.iter().enumerate() {
        let color = color(number);
        let points: Vec<_> = PERCENTILES
            .iter()
            .enumerate()
            .map(|(place, (percentile, _))| (place as f64, at(one, *percentile) as f64))
            .collect();
        let dots = points.iter().map(|at| Circle::new(*at, 3, color.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(one.work.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .label_font((FONT, 13))
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

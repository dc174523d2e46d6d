//! The results as a picture: operations per second as bars, latencies as lines.

use std::{error::Error, path::Path};

use plotters::prelude::*;

use super::{report::PERCENTILES, run::Measured};

const SIZE: (u32, u32) = (1100, 900);

/// Draws them into a file.
pub fn draw(measured: &[Measured], path: &Path) -> Result<(), Box<dyn Error>> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (above, below) = area.split_vertically(SIZE.1 / 2);
        rates(measured, &above)?;
        latencies(measured, &below)?;
        area.present()?;
    }
    std::fs::write(path, picture)?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn rates(measured: &[Measured], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let highest = measured
        .iter()
        .map(|one| one.rate() / 1e6)
        .fold(0.0, f64::max);
    let count = measured.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("million operations per second", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.5..count - 0.5, 0.0..(highest * 1.15).max(1e-6))?;
    let name = |place: &f64| {
        let nearest = place.round();
        let at_one = (place - nearest).abs() < 0.01 && nearest >= 0.0;
        let one = measured.get(nearest as usize).filter(|_| at_one);
        one.map_or(String::new(), |one| one.work.name().to_owned())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(measured.len() * 2 + 1)
        .x_label_formatter(&name)
        .draw()?;
    chart.draw_series(measured.iter().enumerate().map(|(place, one)| {
        let place = place as f64;
        let corners = [(place - 0.35, 0.0), (place + 0.35, one.rate() / 1e6)];
        Rectangle::new(corners, Palette99::pick(place as usize).filled())
    }))?;
    chart.draw_series(measured.iter().enumerate().map(|(place, one)| {
        let rate = one.rate() / 1e6;
        Text::new(
            format!("{rate:.2}"),
            (place as f64 - 0.15, rate + highest * 0.05),
            ("sans-serif", 14),
        )
    }))?;
    Ok(())
}

fn latencies(measured: &[Measured], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let micros = |one: &Measured, percentile| {
        one.latencies.value_at_percentile(percentile).max(1) as f64 / 1e3
    };
    let highest = measured
        .iter()
        .map(|one| micros(one, 100.0))
        .fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("latency in microseconds, by percentile", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(
            -0.2..PERCENTILES.len() as f64 + 0.6,
            (0.01..highest * 2.0).log_scale(),
        )?;
    let name = |place: &f64| {
        let nearest = place.round();
        let at_one = (place - nearest).abs() < 0.01 && nearest >= 0.0;
        let one = PERCENTILES.get(nearest as usize).filter(|_| at_one);
        one.map_or(String::new(), |(_, name)| (*name).to_owned())
    };
    chart
        .configure_mesh()
        .x_labels(PERCENTILES.len() * 2 + 2)
        .x_label_formatter(&name)
        .draw()?;
    for (number, one) in measured.iter().enumerate() {
        let color = Palette99::pick(number).mix(1.0);
        let points = PERCENTILES.iter().enumerate();
        let points =
            points.map(|(place, (percentile, _))| (place as f64, micros(one, *percentile)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(one.work.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

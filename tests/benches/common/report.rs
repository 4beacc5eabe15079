//! The table at the end.

use std::fmt::Write as _;

/// One line of it.
#[derive(Debug)]
pub(crate) struct Figure {
    name: String,
    /// `None` when it could not be measured.
    value: Option<f64>,
    unit: &'static str,
    aim: Option<Aim>,
}

#[derive(Debug, Clone, Copy)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub(crate) fn new(name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value),
            unit,
            aim: None,
        }
    }

    /// A tool that is not installed.
    pub(crate) fn absent(tool: &str) -> Self {
        Self {
            name: format!("{tool}, for each image"),
            value: None,
            unit: "",
            aim: None,
        }
    }

    pub(crate) fn at_least(self, least: f64) -> Self {
        let aim = Some(Aim::AtLeast(least));
        Self { aim, ..self }
    }

    pub(crate) fn at_most(self, most: f64) -> Self {
        let aim = Some(Aim::AtMost(most));
        Self { aim, ..self }
    }
}

/// All of them, with what each is to be.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = String::new();
    for Figure {
        name,
        value,
        unit,
        aim,
    } in figures
    {
        let value = value.map_or_else(
            || "not installed".to_owned(),
            |value| format!("{value:.1} {unit}"),
        );
        let aim = match aim {
            Some(Aim::AtLeast(least)) => format!("at least {least} {unit}"),
            Some(Aim::AtMost(most)) => format!("at most {most} {unit}"),
            None => String::new(),
        };
        writeln!(table, "{}", format!("{name:<40} {value:>14}  {aim}").trim_end()).expect("a string grows");
    }
    table
}

/// The one in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

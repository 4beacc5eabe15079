//! The table at the end.

use std::fmt;
use std::process::ExitCode;

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

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
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

    fn is_missed(&self) -> bool {
        let measured = self.aim.zip(self.value);
        measured.is_some_and(|(aim, value)| !aim.is_met(value))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, value, unit, ..
        } = self;
        let value = value.map_or_else(
            || "not installed".to_owned(),
            |value| format!("{value:.1} {unit}"),
        );
        let aim = match self.aim {
            Some(Aim::AtLeast(least)) => format!("at least {least} {unit}"),
            Some(Aim::AtMost(most)) => format!("at most {most} {unit}"),
            None => String::new(),
        };
        let missed = if self.is_missed() { "  missed" } else { "" };
        let line = format!("{name:<40} {value:>14}  {}{missed}", aim.trim_end());
        f.write_str(line.trim_end())
    }
}

/// Shows all of them, with what each is to be. A failure when one is not.
pub(crate) fn show(figures: &[Figure]) -> ExitCode {
    println!();
    for figure in figures {
        println!("{figure}");
    }
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    if missed == 0 {
        return ExitCode::SUCCESS;
    }
    println!(
        "\n{missed} of the aims missed; a machine that others use, too, is not always the same, so measure again before you look for why"
    );
    ExitCode::FAILURE
}

/// The one in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

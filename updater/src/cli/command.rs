//! What the updater can be told to do.

use clap::Subcommand;

use crate::commands::link;
use crate::commands::migrate::{self, MigrateOptions};
use crate::commands::steer::{self, HoldOptions, WholeOptions, WorkloadOptions};
use crate::commands::{self, ShowOptions};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep images fresh until stopped; the same as giving no command.
    Run,
    /// Say what would happen now, and why not more.
    ///
    /// Reads the cluster as the updater does and decides by the same code: which updates would start, which wait and for
    /// what, which rollouts are under way, and what has to be mended. It changes nothing.
    ///
    /// Exit code 0: there is an answer. 2: there is no cluster, no permission, or an option is wrong.
    #[command(after_help = commands::PLAN_EXAMPLES)]
    Plan(ShowOptions),
    /// Show every watched container: what runs, what is newest, and how the last update ended.
    ///
    /// It changes nothing.
    ///
    /// Exit code 0: there is an answer. 2: there is no cluster, no permission, or an option is wrong.
    #[command(after_help = commands::STATUS_EXAMPLES)]
    Status(ShowOptions),
    /// Say what the annotations of watch-cluster, Image-Watcher or Keel are in Kubefresh's own words.
    ///
    /// Reads the workloads of the cluster, or of manifests, and prints for each a command that writes the annotations which mean
    /// the same, and what cannot be carried over, and why. It changes nothing. Nothing has to be done, either: Kubefresh
    /// understands those annotations as they are, until a workload has its own.
    ///
    /// Exit code 0: there is an answer. 2: there is no cluster, no permission, a manifest cannot be read, or an option is wrong.
    #[command(after_help = migrate::EXAMPLES)]
    Migrate(MigrateOptions),
    /// Agree to the update that waits for it.
    ///
    /// Writes the annotation `kubefresh.dev/approved` with exactly what is offered now, so that nothing else is agreed to. The
    /// updater that leads then starts it.
    ///
    /// Exit code 0: it is written. 2: nothing waits, or there is no cluster, no permission, or an option is wrong.
    #[command(after_help = steer::EXAMPLES)]
    Approve(WorkloadOptions),
    /// Hold versions back, or what is offered now.
    ///
    /// Adds them to the annotation `kubefresh.dev/hold`: they are never offered again, and what is newer is.
    ///
    /// Exit code 0: it is written. 2: there is nothing to hold, or there is no cluster, no permission, or an option is wrong.
    #[command(after_help = steer::EXAMPLES)]
    Hold(HoldOptions),
    /// Let versions go that are held back, or all of them.
    ///
    /// Exit code 0: it is written. 2: nothing is held, or there is no cluster, no permission, or an option is wrong.
    #[command(after_help = steer::EXAMPLES)]
    Release(HoldOptions),
    /// Undo the last update, also while it is under way.
    ///
    /// Writes the annotation `kubefresh.dev/undo` with exactly what the last update gave, so that no other is undone. The updater
    /// that leads then gives back the exact images of before, in any mode and at any time, and holds what is left.
    ///
    /// Exit code 0: it is written. 2: there is nothing to undo, or there is no cluster, no permission, or an option is wrong.
    #[command(after_help = steer::EXAMPLES)]
    Rollback(WorkloadOptions),
    /// Have a workload's repositories asked at once, whatever the schedule says.
    ///
    /// Writes the annotation `kubefresh.dev/check-now`. The updater that leads then makes a Job of the scanner's CronJob.
    ///
    /// Exit code 0: it is written. 2: it is not watched, or there is no cluster, no permission, or an option is wrong.
    #[command(after_help = steer::EXAMPLES)]
    CheckNow(WholeOptions),
    /// Print links that agree to the update that waits for it, for people without kubectl.
    ///
    /// Whoever opens one sees what it is for; what they send from there decides. A link is good for one update of one container, once,
    /// until `APPROVAL_EXPIRY` has passed.
    ///
    /// Exit code 0: it is printed. 2: nothing waits, or there is no cluster, no key, no permission, or an option is wrong.
    #[command(after_help = link::EXAMPLES)]
    Link(WorkloadOptions),
}

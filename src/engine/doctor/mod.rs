//! The machine under examination: what affine finds here, what it lacks, and how to get that.
//!
//! Nothing is changed, and of the network only the Hub is asked, whose token it is. No finding holds a secret.

mod cuda;
mod environments;
mod finding;
mod hub;
mod programs;
mod sandbox;
mod system;
mod torch;

pub use finding::{Finding, Level};

/// Looks at everything, in the order in which a user meets it. Takes a second or two. `repository`: where the user's models
/// go.
pub fn examine(repository: Option<&str>) -> Vec<Finding> {
    let mut findings = vec![torch::libtorch(), torch::bfloat16(), cuda::cuda(), system::memory()];
    findings.extend(system::disks());
    findings.extend(hub::hub(repository));
    let python = programs::Python::find();
    findings.push(programs::python(python.as_ref()));
    findings.push(programs::java());
    findings.extend(programs::wandb());
    findings.push(sandbox::sandbox());
    findings.extend(environments::data());
    findings
}

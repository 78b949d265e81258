//! Downloads a model with the current hf-hub, and prints where the files are.
use hf_hub::HFClientSync;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repository = std::env::args().nth(1).ok_or("which repository?")?;
    let (owner, name) = repository.split_once('/').ok_or("expected owner/name")?;
    let folder = HFClientSync::new()?.model(owner, name).snapshot_download().send()?;
    println!("{}", folder.display());
    Ok(())
}

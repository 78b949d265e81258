//! Downloads a model with hf-hub 0.5, as programs of that time do, and prints where each file is.
use hf_hub::api::sync::ApiBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repository = std::env::args().nth(1).ok_or("which repository?")?;
    let api = ApiBuilder::from_env().with_progress(false).build()?.model(repository);
    for file in api.info()?.siblings {
        println!("{}\t{}", file.rfilename, api.get(&file.rfilename)?.display());
    }
    Ok(())
}

//! Downloads a model with hf-hub 0.3, as programs of that time do, and prints where the files are.
use hf_hub::api::sync::ApiBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let repository = std::env::args().nth(1).ok_or("which repository?")?;
    let endpoint = std::env::var("HF_ENDPOINT")?;
    let cache = std::env::var("HF_HOME")?;
    let api = ApiBuilder::new()
        .with_endpoint(endpoint)
        .with_cache_dir(cache.into())
        .with_progress(false)
        .build()?
        .model(repository);
    for file in api.info()?.siblings {
        println!("{}\t{}", file.rfilename, api.get(&file.rfilename)?.display());
    }
    Ok(())
}

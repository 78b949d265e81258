"""Tries what a policy refuses, and prints what each attempt told its user, as JSON."""

import json
import sys
import tempfile

import huggingface_hub


def told(attempt):
    with tempfile.TemporaryDirectory() as cache:
        try:
            attempt(cache)
        except Exception as error:  # whatever a user would see
            return f"{type(error).__name__}: {error}"
        return None


download = huggingface_hub.hf_hub_download
snapshot = huggingface_hub.snapshot_download
results = {
    "denied file": told(lambda cache: download("gpt2", "config.json", cache_dir=cache)),
    "denied snapshot": told(lambda cache: snapshot("gpt2", cache_dir=cache)),
    "denied info": told(lambda _: huggingface_hub.model_info("gpt2")),
    "pickle file": told(lambda cache: download("org/model", "pytorch_model.bin", cache_dir=cache)),
    "pickle snapshot": told(lambda cache: snapshot("org/model", cache_dir=cache)),
    "snapshot without": told(lambda cache: snapshot("org/model", cache_dir=cache, ignore_patterns=["*.bin"])),
    "upload": told(
        lambda _: huggingface_hub.upload_file(
            path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="org/model", token="hf_valid"
        )
    ),
}
if "transformers" in sys.argv:
    import transformers

    results["denied configuration"] = told(
        lambda cache: transformers.AutoConfig.from_pretrained("gpt2", cache_dir=cache)
    )
print(json.dumps(results))

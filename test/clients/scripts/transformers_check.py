"""Loads a tokenizer, a configuration and the weights with transformers. Arguments: the repository's id."""

import json
import sys

import transformers
from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file

repository = sys.argv[1]
config = transformers.AutoConfig.from_pretrained(repository)
tokenizer = transformers.AutoTokenizer.from_pretrained(repository)
weights = load_file(hf_hub_download(repository, "model.safetensors"))
result = {
    "version": transformers.__version__,
    "hidden_size": config.hidden_size,
    "tokens": tokenizer("mirror, mirror on the wall")["input_ids"],
    "tensors": len(weights),
    "words": list(weights["embeddings.word_embeddings.weight"].shape),
}
if transformers.utils.is_torch_available():
    model = transformers.AutoModel.from_pretrained(repository)
    result["parameters"] = sum(parameter.numel() for parameter in model.parameters())
print(json.dumps(result))

"""Loads datasets of parquet and of JSON, whole and streaming. Arguments: the repositories' ids."""

import json
import sys

from datasets import load_dataset

result = {}
for repository in sys.argv[1:]:
    whole = load_dataset(repository, split="train")
    streamed = load_dataset(repository, split="train", streaming=True)
    result[repository] = {
        "rows": whole.num_rows,
        "last": whole[-1]["text"],
        "streamed": [row["text"] for row in streamed.take(2)],
    }
print(json.dumps(result))

"""Writes a dataset into a folder. Arguments: `parquet` or `json`, the folder."""

import pathlib
import sys

from datasets import Dataset

kind, folder = sys.argv[1:]
dataset = Dataset.from_dict({"text": [f"row {number}" for number in range(1000)]})
target = pathlib.Path(folder) / "data"
target.mkdir(parents=True)
if kind == "parquet":
    dataset.to_parquet(target / "train-00000-of-00001.parquet")
else:
    dataset.to_json(target / "train.json")

"""Exercises huggingface_hub as jobs do, and prints what it got as JSON. Arguments: the repository's id."""

import hashlib
import json
import os
import sys
import tempfile

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.utils import EntryNotFoundError


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def folder_digests(root):
    return {
        os.path.relpath(os.path.join(base, name), root): digest(os.path.join(base, name))
        for base, folders, names in os.walk(root)
        for name in names
        if ".cache" not in base
    }


repository = sys.argv[1]
api = HfApi()
result = {"version": huggingface_hub.__version__}
result["snapshot"] = folder_digests(snapshot_download(repository))
with tempfile.TemporaryDirectory() as folder:
    result["local_dir"] = folder_digests(snapshot_download(repository, local_dir=folder))
result["tag"] = digest(hf_hub_download(repository, "config.json", revision="v1"))
info = api.model_info(repository, files_metadata=True)
result["sha"] = info.sha
result["siblings"] = {sibling.rfilename: sibling.size for sibling in info.siblings}
entries = list(api.list_repo_tree(repository, recursive=True))
result["tree"] = {entry.path: getattr(entry, "size", None) for entry in entries}
result["paths_info"] = [entry.path for entry in api.get_paths_info(repository, ["config.json", "1_Pooling", "absent"])]
refs = api.list_repo_refs(repository)
result["refs"] = {ref.name: ref.target_commit for ref in refs.branches + refs.tags}
result["file_exists"] = [api.file_exists(repository, "config.json"), api.file_exists(repository, "absent.json")]
result["commits"] = [commit.title for commit in api.list_repo_commits(repository)]
try:
    hf_hub_download(repository, "absent.json")
    result["absent"] = "found"
except EntryNotFoundError as error:
    result["absent"] = type(error).__mro__[0].__name__
print(json.dumps(result))

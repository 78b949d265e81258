"""Downloads a snapshot, and prints the SHA-256 of its files and the refs as JSON. Arguments: the repository's id, revisions."""

import hashlib
import json
import os
import sys

from huggingface_hub import HfApi, snapshot_download


def folder_digests(root):
    digests = {}
    for base, _folders, names in os.walk(root):
        for name in names:
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                digests[os.path.relpath(path, root)] = hashlib.sha256(file.read()).hexdigest()
    return digests


repository, *revisions = sys.argv[1:]
api = HfApi()
refs = api.list_repo_refs(repository)
print(
    json.dumps(
        {
            "snapshots": [folder_digests(snapshot_download(repository, revision=revision)) for revision in revisions],
            "sha": [api.model_info(repository, revision=revision).sha for revision in revisions],
            "refs": {ref.name: ref.target_commit for ref in refs.branches + refs.tags},
        }
    )
)

"""A frozen set on the Hugging Face hub: one commit, tagged with its version; a tag that is there is never moved."""

from pathlib import Path
from typing import TYPE_CHECKING

from cytobench.datasets.frozen.identity import Identity
from cytobench.datasets.frozen.manifest import IDENTITY
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import ATTRIBUTES
from cytobench.errors import EnvironmentFault, IntegrityFault

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def upload(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a verified set to a data set repository and return where it can be read.

    What the repository held before is replaced in its newest state and stays under its own tags.

    Args:
        folder: The set's folder.
        repository: ``OWNER/NAME``; made when it is missing.
        private: Whether a new repository is seen by its owner alone.

    Raises:
        IntegrityFault: The set is not untouched, this version was uploaded with other content, or the repository holds
            something else than versions of this set, which would be replaced.
        EnvironmentFault: The hub can't be reached, or does not let us in.
    """
    from huggingface_hub import HfApi

    identity = verify(folder).identity
    tag, api = f"v{identity.version}", HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        tags = [ref.name for ref in api.list_repo_refs(repository, repo_type="dataset").tags]
        if tag in tags:
            there = Path(api.hf_hub_download(repository, IDENTITY, repo_type="dataset", revision=tag)).read_text(
                "utf-8"
            )
            if there != f"{identity}\n":
                raise IntegrityFault(
                    f"{repository} holds {there.strip()} under {tag}, and this is {identity}",
                    fix="publish a later --version; a published version is never edited",
                )
        else:
            _check_newest(api, repository, identity)
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                repo_type="dataset",
                commit_message=str(identity),
                delete_patterns="*",
            )
            api.create_tag(repository, tag=tag, repo_type="dataset", tag_message=str(identity))
    except IntegrityFault:
        raise
    except Exception as error:  # the client's own and its transport's have no common parent
        raise EnvironmentFault(
            f"{identity} is published here, but the hub did not take it: {error}",
            fix="log in with `hf auth login`, check the repository's name, and repeat the command",
        ) from error
    return f"{api.endpoint}/datasets/{repository}/tree/{tag}"


def _check_newest(api: "HfApi", repository: str, identity: Identity) -> None:
    """Refuse to replace anything but an empty repository or another version of the same set."""
    there = set(api.list_repo_files(repository, repo_type="dataset")) - {ATTRIBUTES}  # the hub makes this one itself
    if not there:
        return
    held = ""
    if IDENTITY in there:
        held = Path(api.hf_hub_download(repository, IDENTITY, repo_type="dataset", revision="main")).read_text("utf-8")
    if not held.startswith(f"{identity.name}@v"):
        raise IntegrityFault(
            f"{repository} holds {held.strip() or f'{len(there)} files'}, which {identity} would replace",
            fix="name a new repository, or the one of this set's other versions",
        )

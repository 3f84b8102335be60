"""Drafting a config for a dataset that needs no file: it draws its samples."""

from difflib import get_close_matches
from pathlib import Path

from ..config.commented import Entries, Entry, write
from ..data.dataset import Dataset
from ..errors import InputError
from ..escaping import shown
from ..registry import Component, ComponentType
from ..training.build import registry
from .choices import Size, config_groups, introduction
from .draft import Draft


def templates() -> list[str]:
    """Return the names of the datasets that need no arguments."""
    return sorted(
        name
        for name, known in registry().types["dataset"].items()
        if not any(declared.is_required() for declared in known.arguments.model_fields.values())
    )


def draft_template(name: str, config: Path) -> Draft:
    """Return a config that trains on a dataset with all its defaults.

    Args:
        name: the dataset.
        config: where the config is going to be.

    Raises:
        InputError: there is no such dataset; or it needs arguments.
    """
    if name not in templates():
        near = get_close_matches(name, templates(), n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"--template {shown(name)}: no such template; {meant}there are {', '.join(templates())}")
    known = registry().types["dataset"][name]
    size = _size(registry().make("dataset", _with_defaults(known)))
    data_seed = Entry("data_seed", 0, "the same samples for all networks of a sweep; round: each has its own")
    groups = config_groups(name, _dataset(known), data_seed, size)
    task = "classification" if size.is_classification else "regression"
    found = {"template": name, "task": task, "widths": size.widths, "parameters": size.parameters}
    return Draft(write(introduction(known.summary, config), groups), found)


def _with_defaults(known: ComponentType) -> Component:
    return Component(known.name, {key: each.get_default() for key, each in known.arguments.model_fields.items()})


def _size(dataset: Dataset) -> Size:
    columns = dataset.columns
    return Size(
        samples=dataset.sizes["train"],
        features=len(columns.features),
        outputs=len(columns.targets if columns.classes is None else columns.classes),
        is_classification=columns.classes is not None,
        has_validation="validation" in dataset.sizes,
    )


def _dataset(known: ComponentType) -> Entry:
    """Return the dataset with its arguments and what they mean."""
    described = known.described_arguments()
    arguments = [
        Entry(name, argument["default"], argument["meaning"].removesuffix(".")) for name, argument in described.items()
    ]
    return Entry(known.name, Entries(arguments))

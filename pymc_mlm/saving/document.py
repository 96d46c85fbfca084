"""A specification as a document: JSON with a format and a schema version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc_mlm.errors import DataError
from pymc_mlm.model import AbstractSpecification
from pymc_mlm.saving.values import decode, encode

FORMAT = "pymc_mlm model"
SCHEMA = 1


def to_dict(spec: AbstractSpecification) -> dict[str, Any]:
    """Write a specification as JSON.

    Parameters
    ----------
    spec : AbstractSpecification
        The model apart from data.

    Returns
    -------
    dict of str to object
        For `json.dumps`.

    Raises
    ------
    SpecificationError
        A prior or term has no form as text; it is named.
    """
    return {"format": FORMAT, "schema": SCHEMA, "spec": encode(spec, "the model")}


def from_dict(document: Any) -> AbstractSpecification:
    """Read a specification that `to_dict` wrote; nothing in it is run.

    Raises
    ------
    DataError
        The document is none of a model, or a version with another schema wrote it.
    SpecificationError
        Its parts do not go together.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise DataError("The document is no model of pymc_mlm. Give one that to_dict() wrote.")
    if document.get("schema") != SCHEMA:
        raise DataError(
            f"The document has schema {document.get('schema')!r}, and this version of pymc_mlm "
            f"reads {SCHEMA}. Read it with the version that wrote it, or a newer one."
        )
    spec = decode(document.get("spec"))
    if not isinstance(spec, AbstractSpecification):
        raise DataError("The document holds no model. It is damaged: write it again.")
    return spec

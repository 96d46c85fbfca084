"""The command line: what it offers, and that every model it warms can be built."""

import pytest

from pymc_mlm import __main__, warmup


@pytest.mark.parametrize("label", warmup.common_models())
def test_every_common_model_can_be_built(label):
    model = warmup.common_models()[label]()
    assert model.free_RVs


def test_warmup_compiles_the_chosen_models_and_says_how_many(capsys, monkeypatch):
    compiled = []
    monkeypatch.setattr(warmup, "compile_model", lambda model, names: compiled.append(names))
    __main__.main(["warmup", "--only", "weibull, equal"])
    assert len(compiled) == 1
    assert "party_sd" in compiled[0]
    assert "1 models are ready" in capsys.readouterr().out


def test_unknown_command_is_refused():
    with pytest.raises(SystemExit):
        __main__.main(["fly"])

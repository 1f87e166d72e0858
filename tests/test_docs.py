"""What the documentation shows works as it says."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import converter_bits
import frozen_against_fresh
import numpy as np
import pytest
from conftest import built, distance, gradient, gradient_of, random_episode

import hwsim
from hwsim import documents
from hwsim.catalogue import implementation
from hwsim.config import hardware
from hwsim.learning import Rule

ROOT = Path(__file__).parents[1]
DOCS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def shown_rule(**options: Any) -> Rule:
    """The rule that the page on own rules shows."""
    module = ModuleType("shown")
    code = compile(blocks("docs/own_rule.md", "python")[0], "own_rule.md", "exec", dont_inherit=True)
    exec(code, vars(module))
    rule: Rule = implementation(module, Rule)(module.Options(name="discounted", **options))
    return rule


@pytest.mark.parametrize("on", ["ideal", "pcm_crossbar"])
def test_the_rule_that_is_shown_runs_in_strict_mode(on: str) -> None:
    rule, episode = shown_rule(), random_episode()
    found = gradient_of(built("lru deep", rule, episode, on=on, strict=True), rule, episode)
    assert all(np.isfinite(value).all() for value in found.values())


def test_without_errors_of_the_past_the_rule_that_is_shown_is_one_step() -> None:
    rule, episode = shown_rule(discount=0.0), random_episode()
    found = gradient_of(built("lru deep", rule, episode), rule, episode)
    assert distance(found, gradient("lru deep", "one_step", episode)) < 1e-14


def test_the_machine_that_the_readme_shows_is_valid(tmp_path: Path) -> None:
    (snippet,) = blocks("README.md", "yaml")
    (tmp_path / "my_device.yaml").write_text((ROOT / "devices/pcm_gst_90nm.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "machine.yaml"
    file.write_text(snippet)
    document = documents.load(file)
    made = hardware.machine(document.part(("machine",)))
    assert (made.name, made.parts.adc.bits, made.parts.dac.bits) == ("my_chip", 6, 8)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *DOCS])
def test_pages_link_to_what_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    here = (ROOT / page).parent
    missing = [link for link in links if not link.startswith("http") and not (here / link).exists()]
    assert not missing


def test_the_experiments_of_the_examples_are_valid() -> None:
    hwsim.load(converter_bits.experiment(6))
    hwsim.load(frozen_against_fresh.experiment(8, 0))

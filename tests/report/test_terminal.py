"""What is printed on a terminal."""

import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from lorecall.learning.result import HeldOutReply, PersonalResult, RunResult
from lorecall.metrics.registry import Metric, metrics
from lorecall.records import InjectionConfig, Interval, Turn
from lorecall.report.html import report_page
from lorecall.report.terminal import (
    layer_strip,
    personal_table,
    replies,
    score_table,
    summary,
    trial_table,
)
from lorecall.report.words import scored_metrics
from made_up import without_a_search

MakeResult = Callable[..., RunResult]


def printed(view: RenderableType, *, width: int = 80, colour: bool = False) -> str:
    """Print as the command line does."""
    console = Console(
        width=width,
        file=io.StringIO(),
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    console.print(view, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def numbers(text: str) -> Counter[str]:
    """Count the numbers of a text; a number that is cut or folded is another number."""
    return Counter(re.findall(r"(?<![\w-])[-+]?\d[\d,.]*", text))


class TestScoreTable:
    """Systems by metrics."""

    def test_every_score_has_its_interval(self, make_result: MakeResult) -> None:
        """Each of the systems, each of the four metrics; of another's memory the loss alone."""
        text = printed(score_table(make_result()))
        for expected in ("4.386", "[4.215, 4.557]", "12.81", "[10.50, 15.12]", "2.16"):
            assert expected in text
        assert text.count("[") == (4 * 4 + 1) + (4 * 3 + 1) + 1  # scores, differences, the legend

    def test_a_difference_that_excludes_zero_is_marked(self, make_result: MakeResult) -> None:
        """With a star, which is explained, and without a colour."""
        text = printed(score_table(make_result()))
        assert "-0.334 *" in text
        assert "+2.13 *" not in text
        assert "*   paired difference whose interval excludes zero" in text

    def test_the_better_direction_is_marked(self, make_result: MakeResult) -> None:
        """An arrow in each heading, and what it means."""
        text = printed(score_table(make_result()))
        for heading in ("Test loss ↓", "ROUGE-1 ↑", "ROUGE-L ↑", "Persona F1 ↑"):
            assert heading in text
        assert "↓ lower is better, ↑ higher is better" in text

    def test_the_size_of_h_is_told(self, make_result: MakeResult) -> None:
        """Persona F1 means nothing without it."""
        assert "|H| = 12,345" in printed(score_table(make_result(persona_tokens=12_345)))

    def test_large_numbers_are_not_cut(self, make_result: MakeResult) -> None:
        """Nothing is replaced by an ellipsis in 80 columns."""
        result = make_result()
        wide = Interval(value=-10.24, low=-12.34, high=+45.67)
        scores = result.scores["own"]
        large = scores | dict.fromkeys(("rouge1", "rougeL", "persona_f1"), wide)
        text = printed(score_table(make_result(difference_to_shared={"own": large})))
        assert text.count("[-12.34, +45.67]") == 3
        assert "…" not in text

    def test_a_further_metric_is_shown(
        self, make_result: MakeResult, made_up_metric: Metric, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where a run has it; a run of before it does not, and is shown as it was."""
        before = make_result()
        monkeypatch.setitem(metrics(), made_up_metric.key, made_up_metric)
        wide = Interval(value=7.25, low=6.0, high=8.5)
        scores = {name: means | {"words": wide} for name, means in before.scores.items()}
        differences = {n: d | {"words": wide} for n, d in before.difference_to_shared.items()}
        after = make_result(scores=scores, difference_to_shared=differences)
        assert "Words" not in printed(score_table(before))
        assert printed(score_table(after), width=120).count("[6.0, 8.5]") == len(scores)
        assert "[+6.0, +8.5]" in report_page(after)

    def test_a_system_without_scores_is_left_out(self, make_result: MakeResult) -> None:
        """A result may hold fewer systems."""
        scores = make_result().scores
        only = make_result(scores={"base": scores["base"]}, difference_to_shared={})
        text = printed(score_table(only))
        assert "base: the model as it was shipped." in text
        assert "own:" not in text

    def test_what_each_system_is_stands_below(self, make_result: MakeResult) -> None:
        """In a sentence each."""
        text = " ".join(printed(score_table(make_result())).split())
        for name in ("base", "shared", "own", "another's", "default LoRA"):
            assert f"{name}: " in text
        assert "nothing of this person" in text


class TestPersonal:
    """What of it is the person's own."""

    def test_gain_rank_replies_and_which_is_theirs(self, make_result: MakeResult) -> None:
        """With intervals, and with what chance would be."""
        text = " ".join(printed(personal_table(make_result()), width=200).split())
        for expected in (
            "own less shared -0.334 [-0.411, -0.257] *",
            "personal gain +0.400 [+0.310, +0.490] *",
            "rank 1 of 3",
            "replies 71%",
            "which is theirs 5 of 12",
            "(1.5 by chance)",
        ):
            assert expected in text

    def test_where_nobody_else_was_read_nothing_is_said_of_them(
        self, make_result: MakeResult
    ) -> None:
        """Only what the memory adds; an interval with zero in it has no star."""
        less = Interval(value=-0.01, low=-0.05, high=0.03)
        found = make_result(personal=PersonalResult(own_less_shared=less))
        assert " ".join(printed(personal_table(found), width=200).split()).startswith(
            "own less shared -0.010 [-0.050, +0.030] what the memory adds"
        )
        assert "--others 2" in printed(personal_table(found)).splitlines()[-1]


class TestLayerStrip:
    """Theta, drawn."""

    def test_heights_tell_the_number_of_modules(self) -> None:
        """5 modules over 3 layers are 2, 2 and 1."""
        config = InjectionConfig(layers=(0, 2, 3), n_loras=5, rank=32)
        assert printed(layer_strip(config, 6)).splitlines() == [
            "  █ · █ ▄ · ·",
            "  0         5",
            "3 of 6 layers, 5 modules of rank 32",
            "layers 0, 2-3; █ 2 a layer, ▄ 1 a layer, · none",
        ]

    def test_ticks_stand_under_their_layers(self) -> None:
        """Every fifth layer of 30."""
        config = InjectionConfig(layers=(0, 10, 25), n_loras=3, rank=8)
        cells, ticks, *_ = printed(layer_strip(config, 30)).splitlines()
        for layer in (0, 10, 25):
            assert cells[2 + 2 * layer] == "█"
            assert ticks[2 + 2 * layer :].startswith(str(layer))

    @pytest.mark.parametrize("n_layers", [1, 3, 35, 36, 80, 126])
    def test_a_deep_base_is_drawn_in_rows(self, n_layers: int) -> None:
        """No layer is lost and no row is too long, whatever the depth."""
        config = InjectionConfig(layers=(0,), n_loras=2, rank=8)
        lines = printed(layer_strip(config, n_layers)).splitlines()
        cells = "".join(lines[: -(-n_layers // 35) * 2 : 2]).replace(" ", "")
        assert cells == "█" + "·" * (n_layers - 1)
        assert max(cell_len(line) for line in lines) <= 80

    def test_modules_in_every_layer(self) -> None:
        """The other placement has one height."""
        config = InjectionConfig(layers=(0, 1), n_loras=3, rank=8, placement="every")
        text = printed(layer_strip(config, 3))
        assert "2 of 3 layers, 6 modules of rank 8" in text
        assert "█ 3 a layer, · none" in text


class TestReplies:
    """Test queries with their responses."""

    def test_the_true_one_and_every_systems_are_shown(self, make_result: MakeResult) -> None:
        """In that order, for each query, after what was said before it; and how they were drawn."""
        text = printed(replies(make_result()))
        starts = [line.split()[0] for line in text.splitlines() if line.strip() and line[0] != " "]
        block = ["query", "true", "base", "shared", "own", "another's", "default"]
        assert starts[: 2 * len(block) + 2] == [*block, "asked", "replied", *block]
        assert "Replies are drawn (temperature 0.7, min_p 0.1, seed 0)" in text
        assert "replied earlier  leftover curry from mama" in text

    def test_a_text_cannot_steer_the_terminal(self, make_result: MakeResult) -> None:
        """Neither by escape codes nor by rich's own markup."""
        hostile = HeldOutReply(
            query="\x1b[2Jgone [bold]q[/bold]",
            truth="a\x07b\r\nc\x9b31m",
            responses={"base": "[link=x]y[/link]", "own": "\x1b]0;title\x07z"},
        )
        text = printed(replies(make_result(replies=(hostile,))))
        assert not {"\x1b", "\x07", "\r", "\x9b"} & set(text)
        assert "[bold]q[/bold]" in text
        assert "[link=x]y[/link]" in text

    def test_an_empty_response_is_seen(self, make_result: MakeResult) -> None:
        """A model may answer nothing."""
        silent = HeldOutReply(query="q", truth="t", responses={"base": " \n", "own": ""})
        assert printed(replies(make_result(replies=(silent,)))).count("(nothing)") == 2

    def test_no_reply_is_said(self, make_result: MakeResult) -> None:
        """Not an empty section."""
        assert "no test query was kept" in printed(replies(make_result(replies=())))


class TestTrialTable:
    """The trials of the search."""

    def test_the_chosen_and_the_front_are_named(self, make_result: MakeResult) -> None:
        """In words: bold alone would not print."""
        result = make_result(n_trials=8)
        lines = printed(trial_table(result)).splitlines()
        for trial in result.trials:
            words = next(line for line in lines if line.split()[0] == str(trial.number)).split()
            chosen = trial.number == result.chosen_trial
            assert ("chosen" in words) == chosen
            assert ("front" in words) == (trial.on_front and not chosen)

    def test_a_choice_of_trials(self, make_result: MakeResult) -> None:
        """Only those given are shown."""
        result = make_result(n_trials=8)
        lines = printed(trial_table(result, result.trials[2:4])).splitlines()
        assert [line.split()[0] for line in lines[1:-1]] == ["2", "3"]

    def test_one_trial(self, make_result: MakeResult) -> None:
        """It is the front, and the chosen one."""
        assert printed(trial_table(make_result(n_trials=1))).count("chosen") == 1


class TestSummary:
    """What `lorecall show` prints."""

    @pytest.mark.parametrize("width", [40, 80, 120])
    @pytest.mark.parametrize(("n_layers", "n_trials"), [(3, 1), (30, 8), (32, 200), (80, 20)])
    def test_it_fits(
        self, make_result: MakeResult, width: int, n_layers: int, n_trials: int
    ) -> None:
        """No line is longer than the terminal is wide, and every number is whole."""
        result = make_result(n_layers=n_layers, n_trials=n_trials)
        text = printed(summary(result), width=width)
        assert max(cell_len(line) for line in text.splitlines()) <= width
        assert "…" not in text
        assert numbers(text) == numbers(printed(summary(result), width=1000))

    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_every_score_is_whole(self, make_result: MakeResult, width: int) -> None:
        """As the result holds it, mean and bounds."""
        result = make_result()
        shown = numbers(printed(score_table(result), width=width))
        for scores in result.scores.values():
            for metric in scored_metrics(result):
                if score := scores.get(metric.key):
                    wanted = numbers(f"{metric.value(score)} {metric.bounds(score)}")
                    assert not wanted - shown

    def test_all_is_there(self, make_result: MakeResult) -> None:
        """Theta, scores, replies, front, settings, sizes, and where everything is."""
        text = printed(summary(make_result(), "runs/demo"))
        for expected in (
            "4fde054d",
            "SmolLM2-135M-Instruct",
            "150 train, 21 valid, 43 test samples",
            "modules of rank",
            "Test loss ↓",
            "Pareto front of 8 trials",
            "The search ended because the budget of trials was spent.",
            "search.trials",
            "946,176",
            "shared memory",
            "1.25, by which validation multiplied it",
            "9 min 20 s",
            "runs/demo/result.json",
            "runs/demo/memory",
            "study.db",
        ):
            assert expected in text

    def test_without_a_search_nothing_is_said_of_one(self, make_result: MakeResult) -> None:
        """Neither of trials nor of where they would be."""
        text = printed(summary(without_a_search(make_result(settings={})), "runs/demo"))
        assert "search" not in text
        assert "trial" not in text.replace("trials, ", "")
        for expected in ("personal gain", "41.7 s", "runs/demo/memory", "modules of rank"):
            assert expected in text

    def test_a_final_is_told(self, make_result: MakeResult) -> None:
        """And a memory that was taken from it is among the trials shown, on the front or not."""
        made = make_result()
        (other, *_) = (trial for trial in made.trials if not trial.on_front)
        settings = {"search": {"trials": 8, "finalists": 3}}
        result = make_result(settings=settings, chosen_trial=other.number, config=other.config)
        text = " ".join(printed(summary(result)).split())
        assert "was spent. Trained in full were the search's choice and," in text
        assert text.count(" chosen") == 1
        page = " ".join(report_page(result).split())
        assert "its 2 trials of the lowest loss; the memory is the best of them." in page
        settings = {"search": {"trials": 8, "finalists": 2, "start": "known"}}
        page = " ".join(report_page(make_result(settings=settings)).split())
        assert (
            "loss and, where tried, the better of the LoRAs that need no search; the memory" in page
        )
        for alone in ({}, {"search": {"finalists": 1}}):
            assert "in full" not in printed(summary(make_result(settings=alone)))

    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_no_text_steers_the_terminal(self, make_result: MakeResult, width: int) -> None:
        """Whoever wrote it: markup is shown, control characters and turned text are not."""
        evil = "Bob [/work] [bold]x[/bold]\x1b[2J\x9b31m\x07\u202e"
        made = make_result()
        turn = Turn(by_author=True, text=evil)
        reply = HeldOutReply(
            earlier=(turn,), query=evil, truth=evil, responses={"base": evil, "own": evil}
        )
        result = make_result(
            **dict.fromkeys(("user", "dataset", "model", "finished_at", "storage"), evil),
            replies=(reply,),
            split={evil: 1},
            sizes={evil: 2},
            shared=evil,
            drawn={evil: 1.0},
            seconds={evil: 3.0},
            settings={"preset": evil, "seed": [evil]},
            hypervolume=replace(made.hypervolume, stopped=evil),
        )
        text = printed(summary(result, evil), width=width)
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(text)
        assert " ".join(text.split()).count("[bold]x[/bold]") >= 10

    def test_it_says_the_same_without_colour(self, make_result: MakeResult) -> None:
        """Colours repeat what words and marks say."""
        view = summary(make_result())
        coloured = Console(width=80, file=io.StringIO(), force_terminal=True, record=True)
        coloured.print(view, highlight=False)
        assert coloured.export_text(styles=False) == printed(view)
        assert "\x1b[" not in printed(view)

    def test_no_color_is_respected(
        self, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The convention of https://no-color.org: bold may stay, colours may not."""
        monkeypatch.setenv("NO_COLOR", "1")
        text = printed(summary(make_result()), colour=True)
        assert "\x1b[1m" in text
        assert not any(code in text for code in ("\x1b[36m", "32m", "31m"))

    def test_a_password_is_not_printed(self, make_result: MakeResult) -> None:
        """The storage may be a server."""
        result = make_result(storage="postgresql://ann:s3cret@db/trials")
        assert "s3cret" not in printed(summary(result))

    def test_a_result_of_another_version_is_shown(self, make_result: MakeResult) -> None:
        """Settings and times that are not known by name do no harm."""
        text = printed(summary(make_result(settings={"new": 1}, seconds={"new": 2.0})))
        assert "new" in text

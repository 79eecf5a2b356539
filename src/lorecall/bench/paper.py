"""The numbers the paper published, to stand beside ours: never ours, and never mixed with them.

Its absolute values are of other data and larger bases; what can be compared is the relative gain
and the order of the ablated spaces (SPEC section 8).
"""

from collections.abc import Mapping
from itertools import product
from statistics import fmean
from types import MappingProxyType

from lorecall.systems.about import MEMORY

BASES = ("DialoGPT", "RoBERTa", "LLaMA2-7B", "LLaMA2-13B")
TABLE_3_BASE = "LLaMA2-7B"
ABLATION_BASE = "LLaMA2-13B"

COMPARABLE: Mapping[str, str] = MappingProxyType(
    {
        "amazon_qa": "AmazonQA",
        "amazon_qa_processed": "AmazonQA",
        "reddit": "Reddit",
        "chitchat": "Reddit",
        "med_dialogue": "MedDia",
    }
)
"""Our dataset -> the paper's that is of its kind; chitchat, like Reddit, is talk among people."""


Published = Mapping[str, Mapping[str, float]]
"""dataset -> metric -> the published score."""


# Base, our system, its scores. The paper's "w Mem" is the dictionary, in the published form.
_TABLE_3 = """
DialoGPT   vanilla             10.44  8.63 0.527   7.50  6.86 0.137   9.57  8.31 0.690
DialoGPT   dictionary-faithful 13.91 12.77 0.741  12.12 11.40 0.285  13.35 12.03 0.792
DialoGPT   malp                14.02 12.74 0.743  13.85 12.01 0.289  14.62 12.89 0.816
DialoGPT   memory              18.61 17.83 0.925  16.38 14.51 0.409  17.67 15.94 1.072
RoBERTa    vanilla             11.25  9.21 0.604   9.12  7.86 0.189   9.83  8.19 0.813
RoBERTa    dictionary-faithful 14.01 12.22 0.828  13.51 12.69 0.312  13.97 12.10 0.947
RoBERTa    malp                14.89 13.06 0.794  14.66 14.38 0.397  15.02 13.23 0.950
RoBERTa    memory              19.73 17.59 0.974  16.83 15.09 0.531  18.96 17.18 1.187
LLaMA2-7B  vanilla             12.57 10.97 1.720   9.61  8.81 0.211  10.31  9.97 1.788
LLaMA2-7B  dictionary-faithful 14.73 13.06 1.813  13.91 13.19 0.472  13.88 12.79 1.806
LLaMA2-7B  malp                15.98 13.19 1.883  14.61 13.37 0.489  15.10 13.13 1.848
LLaMA2-7B  memory              21.69 19.96 2.176  18.63 16.81 0.756  20.98 19.73 2.274
LLaMA2-13B vanilla             15.49 13.66 1.793  12.58 10.87 0.272  14.72 13.06 1.809
LLaMA2-13B dictionary-faithful 17.11 15.71 2.056  14.48 12.78 0.542  16.26 14.89 1.850
LLaMA2-13B malp                18.98 17.41 2.083  15.93 13.95 0.614  18.08 15.99 2.031
LLaMA2-13B memory              25.51 24.25 2.283  22.28 21.83 0.864  24.13 22.96 2.337
"""


def _parsed(table: str) -> dict[str, dict[str, Published]]:
    found: dict[str, dict[str, Published]] = {}
    for line in table.strip().splitlines():
        base, system, *scores = line.split()
        columns = product(("AmazonQA", "Reddit", "MedDia"), ("rouge1", "rougeL", "persona_f1"))
        row: dict[str, dict[str, float]] = {}
        for (dataset, metric), score in zip(columns, scores, strict=True):
            row.setdefault(dataset, {})[metric] = float(score)
        found.setdefault(base, {})[system] = row
    return found


TABLE_3: Mapping[str, Mapping[str, Published]] = MappingProxyType(_parsed(_TABLE_3))

# Our system -> win rate against vanilla in percent, of the base of `TABLE_3_BASE`.
TABLE_4: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "dictionary-faithful": {"AmazonQA": 65.34, "Reddit": 59.41, "MedDia": 86.91},
        "malp": {"AmazonQA": 65.79, "Reddit": 61.30, "MedDia": 90.43},
        "memory": {"AmazonQA": 66.17, "Reddit": 59.81, "MedDia": 91.83},
    }
)

# Our system -> Persona F1, of the base of `ABLATION_BASE`.
TABLE_5: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "memory:n": {"AmazonQA": 2.011, "Reddit": 0.604, "MedDia": 2.027},
        "memory:rank": {"AmazonQA": 2.017, "Reddit": 0.601, "MedDia": 2.034},
        "memory:layer": {"AmazonQA": 1.921, "Reddit": 0.597, "MedDia": 2.001},
        "memory:n+rank": {"AmazonQA": 2.016, "Reddit": 0.604, "MedDia": 2.073},
        "memory:n+layer": {"AmazonQA": 2.130, "Reddit": 0.731, "MedDia": 2.196},
        "memory:rank+layer": {"AmazonQA": 2.195, "Reddit": 0.767, "MedDia": 2.197},
        "memory": {"AmazonQA": 2.283, "Reddit": 0.864, "MedDia": 2.337},
    }
)


def mean_gains(dataset: str) -> dict[str, float]:
    """Return the relative gain of the paper's method over its best baseline, metric by metric.

    Worked out from Table 3; the mean over its bases.
    """
    gains: dict[str, list[float]] = {}
    for base in BASES:
        rows = {name: row[dataset] for name, row in TABLE_3[base].items()}
        ours = rows.pop(MEMORY)
        for metric, value in ours.items():
            best = max(row[metric] for row in rows.values())
            gains.setdefault(metric, []).append(value / best - 1)
    return {metric: fmean(values) for metric, values in gains.items()}

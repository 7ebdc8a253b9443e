"""Writes texts with the scores that the reference packages give them, a line of JSON each."""

import json
import random
import warnings

warnings.filterwarnings("ignore")

from nltk.translate.gleu_score import sentence_gleu
from rapidfuzz.distance import Levenshtein
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU

PUBLISHED = [
    # Papineni et al. 2002, examples 1 and 2.
    ("It is a guide to action which ensures that the military always obeys the commands of the party.",
     ["It is a guide to action that ensures that the military will forever heed Party commands.",
      "It is the guiding principle which guarantees the military forces always being under the command of the Party.",
      "It is the practical guide for the army always to heed the directions of the party."]),
    ("It is to insure the troops forever hearing the activity guidebook that party direct.",
     ["It is a guide to action that ensures that the military will forever heed Party commands."]),
    ("the the the the the the the", ["The cat is on the mat.", "There is a cat on the mat."]),
    # Lin 2004.
    ("police kill the gunman", ["police killed the gunman"]),
    ("the gunman kill police", ["police killed the gunman"]),
    # What tokenizers fall over.
    ("", ["a"]), ("a", [""]), ("", [""]),
    ("A &quot;quoted&quot; text &amp; more -\nbroken <skipped> 3,000.50-4 e.g. U.S.A.", ["A \"quoted\" text & more broken 3,000.50 - 4 e.g. U.S.A."]),
    ("été à la plage — ça va? 你好 世界 ½ １２", ["ete a la plage - ca va? 你好 世界 ½ 12"]),
    ("tab\there nbsp\u00a0there \x1cseparator", ["tab here nbsp there separator"]),
]

WORDS = ["the", "The", "cat", "sat", "on", "mat", "3", "3.5", "1,000", "U.S.", "e.g.", "isn't", "well-known", "(a)", "x_y",
         "&amp;", "\"hi\"", "...", "?", "-", "10-20", "naïve", "Ünder", "你好", "a/b", "$5", "50%", "C++", "#1", "\n", "\t", "ǅ"]


def random_pairs(count):
    rng = random.Random(20261122)
    for at in range(count):
        words = [rng.choice(WORDS) for _ in range(rng.randint(0, 30))]
        other = [word for word in words if rng.random() > 0.25]
        other = [rng.choice(WORDS) if rng.random() < 0.2 else word for word in other]
        if rng.random() < 0.3:
            rng.shuffle(other)
        references = [" ".join(other)]
        if rng.random() < 0.3:
            references.append(" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12))))
        yield " ".join(words), references


def main():
    smoothings = {"exp": "exp", "floor": "floor", "add-k": "add-k", "none": "none"}
    bleus = {name: BLEU(smooth_method=method, effective_order=True) for name, method in smoothings.items()}
    lower = BLEU(smooth_method="exp", effective_order=True, lowercase=True)
    rouges = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for answer, references in PUBLISHED + list(random_pairs(1500)):
        scores = {f"bleu {name}": bleu.sentence_score(answer, references).score / 100 for name, bleu in bleus.items()}
        scores["bleu lower"] = lower.sentence_score(answer, references).score / 100
        scores["gleu"] = sentence_gleu([reference.split() for reference in references], answer.split())
        for name, score in rouges.score(references[0], answer).items():
            scores[name] = score.fmeasure
        scores["distance"] = Levenshtein.distance(answer, references[0])
        scores["similarity"] = Levenshtein.normalized_similarity(answer, references[0])
        print(json.dumps({"answer": answer, "references": references, "scores": scores}))


main()

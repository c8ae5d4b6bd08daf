#!/usr/bin/env python
"""The baseline "plain fastai, seed 003's recipe": `ImageDataLoaders`, `aug_transforms`, `fine_tune`, and nothing of this project's own.

It fits on the train split, watches the valid split, reports on the test split. Real data only: see `--data`.
Seed 003 used ResNet50 and rounds of harder images; here the backbone is the one that loads offline, and there are no rounds."""
import argparse, contextlib, json, os, sys, time
from pathlib import Path

import pandas as pd, timm, torch
from fastai.vision.all import (Callback, CrossEntropyLossFlat, ImageDataLoaders, Learner, Normalize, Resize, RocAucBinary,
                               accuracy, aug_transforms, params, set_seed)
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from common import need, result, say, shared_dir

BACKBONE = 'mobilenetv2_100.imagenet_fp16'
COLUMNS  = ['path', 'label', 'domain', 'split', 'group', 'score']
BS       = 64

# --- What to read ---

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv and pairs.csv; ../weights is read from beside it')
    p.add_argument('--out', type=Path, default=Path('runs/plain_fastai'), help='where scores.csv, history.csv and export.pkl go')
    p.add_argument('--epochs', type=int, default=2, help='unfrozen epochs, after one frozen')
    p.add_argument('--size', type=int, default=192, help='side of the square in pixels')
    p.add_argument('--limit', type=int, help='images per split, half of each label, for smoke tests')
    p.add_argument('--seed', type=int, default=42)
    p.add_argument('--num-workers', type=int, default=1)
    return p.parse_args()

def read_items(data, limit=None, seed=42):
    "The manifest as a frame, cut to `limit` images a split; every listed file is there"
    df = pd.read_csv(need(data/'items.csv', 'The manifest'), dtype=str, keep_default_na=False)
    # Shuffle, then take the head of each class: with both labels in every split no metric is undefined
    if limit: df = df.sample(frac=1, random_state=seed).groupby(['split', 'label']).head(max(1, limit//2)).reset_index(drop=True)
    for path in df.path: need(data/path, 'An image that items.csv lists')
    return df

# --- What to train ---

def read_backbone(weights):
    "The timm model with its ImageNet weights, and the JSON that says what they are"
    meta = json.loads(need(weights/f'{BACKBONE}.json', 'The description of the backbone').read_text())
    state = torch.load(need(weights/f'{BACKBONE}.pth', 'The backbone'), weights_only=True, map_location='cpu')
    model = timm.create_model(meta['arch'], pretrained=False, **meta['kwargs'])
    model.load_state_dict(state, strict=True)   # with the file's own 1,000 classes: the new head comes after, or strict would fail
    model.reset_classifier(2)
    return model, meta

def body_and_head(model):
    "Two parameter groups, so that `freeze` leaves the classifier alone"
    head = params(model.get_classifier())
    ids = {id(p) for p in head}
    return [[p for p in params(model) if id(p) not in ids], head]

def get_dls(df, data, meta, args):
    "DataLoaders of the train and valid rows, with a plain fastai user's transforms"
    rows = df[df.split.isin(['train', 'valid'])].assign(is_valid=lambda d: d.split == 'valid')
    bs = min(BS, int((~rows.is_valid).sum()))   # fastai drops a short last batch: a smaller train set would give none
    return ImageDataLoaders.from_df(rows, path=data, fn_col='path', label_col='label', valid_col='is_valid', item_tfms=Resize(args.size),
                                    batch_tfms=[*aug_transforms(), Normalize.from_stats(meta['mean'], meta['std'])],
                                    bs=bs, num_workers=args.num_workers)

def get_learner(dls, model, out):
    "A fastai Learner over `model` that reports accuracy and ROC AUC"
    return Learner(dls, model, loss_func=CrossEntropyLossFlat(), splitter=body_and_head, metrics=[accuracy, RocAucBinary()], path=out)

class RunLog(Callback):
    "Progress on stderr, and one history file over both phases (fastai's CSVLogger would keep the last or repeat its header)"
    order = 60   # after Recorder, which fills the log
    def __init__(self, fname): self.fname, self.rows, self.phase = fname, [], None

    def before_fit(self): self.phase = 'unfrozen' if self.phase else 'frozen'

    def after_batch(self):
        if self.training and self.iter % 10 == 0:
            say(f'{self.phase} epoch {self.epoch} batch {self.iter + 1}/{self.n_iter} loss {self.smooth_loss.item():.4f}')

    def after_epoch(self):
        self.rows.append({'phase': self.phase, **dict(zip(self.recorder.metric_names, self.recorder.log))})
        say(' '.join(f'{k} {v:.4f}' if isinstance(v, float) else f'{k} {v}' for k, v in self.rows[-1].items()))
        write_csv(pd.DataFrame(self.rows), self.fname)

def train(learn, epochs, out):
    "One epoch of the head, then `epochs` of everything"
    # The log rides along for the fit alone: a callback kept on the learner would be pickled into export.pkl
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(epochs, freeze_epochs=1, base_lr=2e-3, cbs=RunLog(out/'history.csv'))

# --- What it is worth ---

def score(learn, df):
    "The valid and test rows of `df` with P(fake)"
    rows = df[df.split.isin(['valid', 'test'])].reset_index(drop=True)
    with learn.no_bar(): preds, _ = learn.get_preds(dl=learn.dls.test_dl(rows))
    fake = list(learn.dls.vocab).index('fake')   # by name: the order of a vocab is an accident of spelling
    return rows.assign(score=preds[:, fake].numpy())[COLUMNS]

def auc(rows):
    "ROC AUC of P(fake), None where a class is absent (a pair under `--limit`)"
    return round(float(roc_auc_score(rows.label == 'fake', rows.score)), 4) if rows.label.nunique() == 2 else None

def pair_aucs(rows, pairs):
    "AUC of each fair pair, by the name of its generator"
    return {p.fake: auc(rows[((rows.label == 'fake') & (rows.domain == p.fake)) | ((rows.label == 'real') & (rows.domain == p.real))])
            for p in pairs.itertuples()}

def judge(scores, pairs):
    "The figures of the test split"
    rows = scores[scores.split == 'test']
    by_pair = pair_aucs(rows, pairs)
    known = [v for v in by_pair.values() if v is not None]
    return dict(n_test=len(rows), auc=auc(rows), balanced_accuracy=round(float(balanced_accuracy_score(rows.label == 'fake', rows.score >= 0.5)), 4),
                pairs=by_pair, pairs_mean=round(sum(known)/len(known), 4) if known else None)

# --- What to keep ---

def write_csv(df, path):
    "Write `df` whole or not at all"
    tmp = path.with_name(path.name + '.tmp')
    df.to_csv(tmp, index=False)
    os.replace(tmp, path)

def export(learn, out):
    "fastai's own export.pkl, whole or not at all"
    learn.export('export.pkl.tmp')
    os.replace(out/'export.pkl.tmp', out/'export.pkl')

def run(args):
    "Train, score and save; the figures as a dict"
    start = time.time()
    pairs = pd.read_csv(need(args.data/'pairs.csv', 'The list of fair pairs'))
    df = read_items(args.data, args.limit, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    set_seed(args.seed, reproducible=True)   # before the head is drawn and the DataLoaders take their seeds
    model, meta = read_backbone(args.data.resolve().parent/'weights')
    learn = get_learner(get_dls(df, args.data, meta, args), model, args.out)
    say(f'{len(learn.dls.train_ds)} train, {len(learn.dls.valid_ds)} valid, {(df.split == "test").sum()} test images; vocab {list(learn.dls.vocab)}')
    train(learn, args.epochs, args.out)
    export(learn, args.out)
    say('scoring the valid and test splits')
    scores = score(learn, df)
    write_csv(scores, args.out/'scores.csv')
    return dict(n_train=len(learn.dls.train_ds), **judge(scores, pairs), seconds=round(time.time() - start, 1), out=str(args.out))

def main():
    "Run the benchmark; one JSON object is all of stdout"
    args = parse_args()
    with contextlib.redirect_stdout(sys.stderr): figures = run(args)
    result('plain_fastai', **figures)

if __name__ == '__main__': main()

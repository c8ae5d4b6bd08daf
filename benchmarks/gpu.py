#!/usr/bin/env python
"""Training speed on a GPU, ResNet-50 at 224 pixels in bfloat16 and channels-last: a bare PyTorch loop on tensors that lie on the GPU, our Learner on the same tensors, our Learner from JPEG files.

Images a second of each, and their ratios. Warm-up steps do not count. Where the files slow the training by more than a tenth, the parts of loading are measured one on top of the other, to see which is the limit.
The files are made by the script, and read often enough to lie in memory: a slow disk is not measured. Where there is no GPU the script says so and ends; `--device cpu --arch resnet18 --size 64 --n 128 --steps 4` runs everything in single precision all the same."""
import argparse, os, tempfile, time, warnings
from pathlib import Path

from common import result, say

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    p.add_argument('--arch', default='resnet50')
    p.add_argument('--size', type=int, default=224, help='side of the square in pixels')
    p.add_argument('--bs', type=int, help='batch size (default: 128 on a GPU, 32 on a CPU)')
    p.add_argument('--steps', type=int, default=100, help='steps that count')
    p.add_argument('--warmup', type=int, help='steps before them (default: as many, at most 20)')
    p.add_argument('--n', type=int, default=2048, help='JPEG files to make')
    p.add_argument('--photo', type=int, default=384, help='side of a JPEG in pixels')
    p.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes that load images')
    p.add_argument('--parts', action='store_true', help='measure the parts of loading in any case')
    args = p.parse_args()
    args.bs = args.bs or dict(cuda=128, cpu=32)[args.device]
    args.warmup = min(20, args.steps) if args.warmup is None else args.warmup
    return args

# --- Data ---

def make_files(root, args):
    "JPEG files with the detail of a photo, half of them called fake, as a manifest long enough for one epoch of all steps"
    import numpy as np, pandas as pd
    from PIL import Image
    rng = np.random.default_rng(0)
    for i in range(args.n):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).resize((args.photo, args.photo), Image.Resampling.BICUBIC)
        noisy = np.clip(np.asarray(coarse).astype(np.int16) + rng.integers(-12, 13, (args.photo, args.photo, 3)), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(root/f'{i:05}.jpg', quality=90)
    rows = [dict(path=str(root/f'{i % args.n:05}.jpg'), label=('real', 'fake')[i % 2], domain='made', split='train', group=str(i)) for i in range((args.warmup + args.steps) * args.bs)]
    return pd.DataFrame(rows + [rows[0] | dict(split='valid'), rows[1] | dict(split='valid')])

def face_loaders(items, args):
    "Our DataLoaders over the files, in one long epoch"
    from face_fake_or_not.data import face_dataloaders
    return face_dataloaders(items, size=args.size, bs=args.bs, balance=None, num_workers=args.workers, device=args.device)

class Ready:
    "The same batch again and again, already where it is needed"
    def __init__(self, batch, n): self.batch, self.n = batch, n
    def __len__(self): return self.n
    def __iter__(self): return (self.batch for _ in range(self.n))

# --- Clocks ---

def now(args):
    "Seconds, once the GPU has done all it was given"
    import torch
    if args.device == 'cuda': torch.cuda.synchronize()
    return time.perf_counter()

def bare_rate(model, batch, args):
    "Images a second of a plain PyTorch loop"
    import torch
    from torch.nn.functional import cross_entropy
    opt, (x, y) = torch.optim.AdamW(model.parameters(), lr=1e-3), batch
    model.train()
    for step in range(args.warmup + args.steps):
        if step == args.warmup: start = now(args)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device == 'cuda'): loss = cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
    return args.bs * args.steps / (now(args) - start)

def learner_rate(learn, args):
    "Images a second of one epoch of a Learner, without its validation"
    from fastai.callback.core import Callback, CancelValidException
    from fastai.callback.fp16 import AMPMode, MixedPrecision
    class Clock(Callback):
        order = 100
        def before_batch(self):
            if self.iter == args.warmup: self.start = now(args)
        def after_train(self): self.rate = args.bs * args.steps / (now(args) - self.start)
        def before_validate(self): raise CancelValidException
    clock = Clock()
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3, cbs=[clock] + [MixedPrecision(amp_mode=AMPMode.BF16)] * (args.device == 'cuda'))
    return clock.rate

# --- Parts of loading ---

class Part:
    "A data set that does a part of the work of loading image `i` and hands over nothing"
    def __init__(self, do): self.do = do
    def __getitem__(self, i):
        self.do(i)
        return 0

def loading_rates(dls, args):
    "Images a second of loading alone, one part more at a time"
    import torch
    from face_fake_or_not.data import load_face
    dl, paths = dls.train, dls.train_ds.items.path.tolist()
    dl.before_iter()
    def rate(batches):
        for step, _ in enumerate(batches):
            if step == args.warmup - 1: start = now(args)
        return args.bs * (step - args.warmup + 1) / (now(args) - start)
    def part(do): return torch.utils.data.DataLoader(Part(do), sampler=range(len(paths)), batch_size=args.bs, num_workers=args.workers, drop_last=True)
    def collated():
        device, dl.device = dl.device, None
        try:
            after, dl.after_batch = dl.after_batch, lambda b: b
            yield from dl
        finally: dl.device, dl.after_batch = device, after
    return dict(decode=rate(part(lambda i: load_face(paths[i]))), transform=rate(part(dl.do_item)), collate=rate(collated()), copy=rate(dl))

def limit_of(rates, trained):
    "The part that adds most to the time of an image; 'training' where loading alone would be fast enough"
    times = [0, *(1 / r for r in rates.values()), 1 / trained]
    added = dict(zip([*rates, 'training beside it'], (b - a for a, b in zip(times, times[1:]))))
    return max(added, key=added.get)

# --- Run ---

def measure(root, args):
    "The figures"
    import copy
    import torch
    from fastai.data.core import DataLoaders
    from face_fake_or_not.learner import face_learner
    dls = face_loaders(make_files(root, args), args)
    learn = face_learner(dls, args.arch, pretrained=False, path=root)
    model = learn.model.to(args.device)
    x = torch.randn(args.bs, 3, args.size, args.size, device=args.device).to(memory_format=torch.channels_last)
    batch = x, torch.arange(args.bs, device=args.device) % 2
    rates = {}
    def done(name, value): rates[name] = value; say(f'{name}: {value:.0f} images/s')
    done('bare', bare_rate(copy.deepcopy(model), batch, args))
    learn.dls = DataLoaders(*[Ready(batch, args.warmup + args.steps)] * 2, device=None)
    done('learner', learner_rate(learn, args))
    learn.dls = dls
    done('files', learner_rate(learn, args))
    parts = loading_rates(dls, args) if args.parts or rates['files'] < .9 * rates['learner'] else {}
    for k, v in parts.items(): say(f'loading, up to {k}: {v:.0f} images/s')
    return rates, parts

def main():
    "Measure; the last line is JSON"
    args = parse_args()
    import torch
    if args.device == 'cuda' and not torch.cuda.is_available():
        print('No GPU here: nothing was measured. `--device cpu --arch resnet18 --size 64 --n 128 --steps 4` runs the same code on a CPU.')
        return result('gpu', skipped='no GPU')
    warnings.filterwarnings('ignore')
    from fastai.torch_core import default_device
    default_device(args.device == 'cuda')
    with tempfile.TemporaryDirectory() as tmp: rates, parts = measure(Path(tmp), args)
    shown = {k: round(v, 1) for k, v in rates.items()}
    result('gpu', device=torch.cuda.get_device_name() if args.device == 'cuda' else 'cpu', arch=args.arch, size=args.size, bs=args.bs, steps=args.steps, workers=args.workers, images_per_second=shown,
           learner_to_bare=round(rates['learner'] / rates['bare'], 3), files_to_learner=round(rates['files'] / rates['learner'], 3),
           **({'loading': {k: round(v, 1) for k, v in parts.items()}, 'limit': limit_of(parts, rates['files'])} if parts else {}))

if __name__ == '__main__': main()

#!/usr/bin/env python
"""A coverage-guided fuzz of the decode path (atheris, libFuzzer): bytes -> `to_rgb(open_image(...))`, which must give a picture or an `ImageError`, and `file_evidence`.

    pip install atheris && python benchmarks/fuzz.py --seconds 600

Python's side is instrumented: this library's `decode` and `evidence`, and Pillow's plugins, where a file's structure is read. Pillow's C decoders are not, so libFuzzer cannot see which of their branches a file takes; they are reached by mutating valid files of every
kind. A mutation is libFuzzer's own, or one that knows the structure: a chunk, segment, box or tag is doubled, dropped, moved, resized or taken from another seed, and checksums are set right again, without which nothing behind a PNG's
header would ever be read. A crash, an exception that is no `ImageError`, an input of more than 2 s of CPU or a process that grew by more than 500 MB since its first input ends a round and is written down; the next round starts from the corpus. Exit status 1 where there was any."""
import argparse, random, re, struct, subprocess, sys, tempfile, time, zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import peak_mib, result, say

LIMIT_S, LIMIT_MB = 2, 500

# ---- mutations that know the structure

def png_parts(d):
    "Chunks of a PNG, without their checksums"
    at, out = 8, []
    while at + 8 <= len(d) and len(out) < 200:
        n = struct.unpack('>I', d[at:at+4])[0]; out.append((d[at+4:at+8], d[at+8:at+8+n])); at += 12 + n
    return out

def png_whole(parts): return b'\x89PNG\r\n\x1a\n' + b''.join(struct.pack('>I', len(b)) + k + b + struct.pack('>I', zlib.crc32(k + b)) for k, b in parts)

def jpeg_parts(d):
    "Segments of a JPEG; the coded data belong to the scan before them"
    at, out = 2, []
    while at + 4 <= len(d) and d[at] == 0xff and len(out) < 200:
        n = struct.unpack('>H', d[at+2:at+4])[0]; end = at + 2 + n
        if d[at+1] == 0xda:
            m = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]').search(d, end); end = m.start() if m else len(d)
        out.append((d[at:at+2], d[at+4:end])); at = end
        if d[at:at+2] == b'\xff\xd9': break
    return out

def jpeg_whole(parts): return b'\xff\xd8' + b''.join(k + struct.pack('>H', (len(b) + 2 if k != b'\xff\xda' else 2 + 4 + 2 * (b[0] if b else 0)) & 0xffff) + b for k, b in parts) + b'\xff\xd9'

def riff_parts(d):
    "Chunks of a WebP"
    at, out = 12, []
    while at + 8 <= len(d) and len(out) < 200:
        n = struct.unpack('<I', d[at+4:at+8])[0]; out.append((d[at:at+4], d[at+8:at+8+n])); at += 8 + n + n % 2
    return out

def riff_whole(parts):
    body = b'WEBP' + b''.join(k + struct.pack('<I', len(b)) + b + b'\0' * (len(b) % 2) for k, b in parts)
    return b'RIFF' + struct.pack('<I', len(body)) + body

def box_parts(d):
    "Boxes of an AVIF at the top level"
    at, out = 0, []
    while at + 8 <= len(d) and len(out) < 200:
        n = struct.unpack('>I', d[at:at+4])[0]
        if n < 8: break
        out.append((d[at+4:at+8], d[at+8:at+n])); at += n
    return out

def box_whole(parts): return b''.join(struct.pack('>I', len(b) + 8) + k + b for k, b in parts)

KINDS = [(b'\x89PNG', png_parts, png_whole), (b'\xff\xd8', jpeg_parts, jpeg_whole), (b'RIFF', riff_parts, riff_whole), (b'ftyp', box_parts, box_whole)]
EDGES = [0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]

def kind_of(d): return next((k for k in KINDS if d.startswith(k[0]) or d[4:8] == k[0]), None)

def numbers(d, rng):
    "A whole number somewhere in the first kilobyte set to an edge"
    n = rng.choice((1, 2, 4)); at = rng.randrange(max(1, min(len(d), 1024) - n)); value = rng.choice(EDGES) % 256**n
    return d[:at] + value.to_bytes(n, rng.choice(('big', 'little'))) + d[at+n:]

def rearranged(d, rng, seeds):
    "Parts of a file doubled, dropped, moved, resized, changed or taken from another"
    kind = kind_of(d)
    if kind is None: return numbers(d, rng)
    parts = kind[1](d)
    if not parts: return numbers(d, rng)
    i, what = rng.randrange(len(parts)), rng.randrange(7)
    k, b = parts[i]
    if what == 0: parts[i:i] = [parts[i]] * rng.choice((1, 2, 50))
    elif what == 1: del parts[i]
    elif what == 2: parts.insert(rng.randrange(len(parts)), parts.pop(i))
    elif what == 3: parts[i] = (k, b[:rng.randrange(len(b) + 1)])
    elif what == 4: parts[i] = (k, numbers(b, rng) if b else b'\0')
    elif what == 5:
        others = [p for s in seeds if kind_of(s) is kind for p in kind[1](s)]
        parts.insert(i, rng.choice(others))
    else: parts[i] = (k, b + bytes(rng.choice((1, 100, 5000))))
    return kind[2](parts)

# ---- the round that libFuzzer drives

def one_round(argv, seeds):
    "Runs until it is told to stop, or until something is wrong"
    import atheris
    with atheris.instrument_imports(include=['face_fake_or_not.decode', 'face_fake_or_not.evidence', 'PIL'], enable_loader_override=False):
        from face_fake_or_not.decode import open_image, to_rgb
        from face_fake_or_not.evidence import file_evidence
    from face_fake_or_not.core import ImageError
    import warnings; warnings.simplefilter('ignore')

    before = []

    def asked(call, data):
        "What `call` gives; None for an `ImageError` of one line"
        try: return call(data)
        except ImageError as e:
            if not str(e).isprintable(): raise RuntimeError(f'not one printable line: {e!r}')

    def target(data):
        if not data: return
        start = time.process_time()
        im = asked(lambda d: to_rgb(open_image(d)), data)
        assert im is None or im.mode == 'RGB' and im.width * im.height
        said = asked(file_evidence, data)
        assert all((e['says'] + e['where'] + e['value']).isprintable() for e in said or ())
        before[:] = before or [peak_mib()]
        if (grew := peak_mib() - before[0]) > LIMIT_MB: raise RuntimeError(f'grew by {grew:.0f} MB')
        if time.process_time() - start > LIMIT_S: raise RuntimeError(f'{time.process_time() - start:.1f} s of CPU')

    def mutate(data, limit, seed):
        rng = random.Random(seed)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = rearranged(data, rng, seeds) if rng.random() < .6 else numbers(data, rng) if rng.random() < .3 and data else atheris.Mutate(data, limit)
        return data[:limit]

    atheris.Setup(argv, target, custom_mutator=mutate)
    atheris.Fuzz()

def main():
    "Rounds until the time is up; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--seconds', type=int, default=600)
    p.add_argument('--out', type=Path, default=Path('fuzz_found'), help='folder for inputs that went wrong')
    p.add_argument('--round', help=argparse.SUPPRESS)
    args, rest = p.parse_known_args()
    if args.round: return one_round([sys.argv[0], *rest], [f.read_bytes() for f in Path(args.round).iterdir()])
    from hostile import seeds
    with tempfile.TemporaryDirectory() as tmp:
        first, corpus = Path(tmp)/'seeds', Path(tmp)/'corpus'; first.mkdir(); corpus.mkdir()
        for name, data in seeds().items(): (first/name).write_bytes(data)
        start, done, found, rounds, cover, peak = time.time(), 0, [], 0, 0, 0
        while not rounds or (left := int(start + args.seconds - time.time())) > 5:
            if not rounds: left = max(1, args.seconds)
            command = [sys.executable, __file__, '--round', str(first), f'-max_total_time={left}', f'-rss_limit_mb={3 * LIMIT_MB}', '-timeout=60', '-max_len=60000', '-len_control=0', f'-artifact_prefix={tmp}/', f'-seed={rounds + 1}', '-print_final_stats=1', str(corpus), str(first)]
            r = subprocess.run(command, capture_output=True, text=True, errors='replace'); rounds += 1
            done += int((re.findall(r'number_of_executed_units: (\d+)', r.stderr) or re.findall(r'#(\d+)', r.stderr) or ['0'])[-1])
            cover = max([cover, *map(int, re.findall(r'cov: (\d+)', r.stderr))])
            peak = max([peak, *map(int, re.findall(r'(?:rss: |peak_rss_mb: +)(\d+)', r.stderr))])
            if r.returncode:
                bad = [f for f in Path(tmp).iterdir() if f.is_file()]
                args.out.mkdir(exist_ok=True)
                for f in bad: f.rename(args.out/f.name)
                told = [line for line in r.stderr.splitlines() if 'Error' in line or 'ERROR' in line or 'SUMMARY' in line][:3] or r.stderr.splitlines()[-5:]
                found.append(dict(told=told, files=[f.name for f in bad])); say(f'round {rounds}: {told}')
                if not bad and rounds > 5: break
            say(f'{done} inputs in {rounds} rounds, coverage {cover}, {len(list(corpus.iterdir()))} files in the corpus, {peak} MB')
        result('fuzz', seconds=round(time.time() - start), inputs=done, rounds=rounds, coverage=cover, corpus=len(list(corpus.iterdir())), peak_rss_mb=peak, found=found)
    sys.exit(1 if found else 0)

if __name__ == '__main__': main()

#!/usr/bin/env python
"""Some hundreds of malformed and hostile files, made here, through decoding and through a detector: each answer is a result or one clear error.

    python benchmarks/hostile.py               # all of them, some minutes, mostly to make the files; about 1 GB in a temporary folder
    python benchmarks/hostile.py --only png    # those with `png` in their name; --n 20: no more than so many

Each file is tried four ways in a worker process: bytes and path, each through `to_rgb(open_image(...))` and through `Detector.predict`. Growth is the most memory that the worker held at any time (VmHWM of /proc) less what it held before
its first file, detector loaded and warm, so what earlier files left behind counts too. A slow answer is one of more than 2 s of CPU (all threads) and of wall time: other programs on the machine prolong the second alone. One that waited for more than 2 s, other than for its turn on a core (schedstat of /proc), and used little CPU meanwhile is counted as blocked. A worker that dies, or gives no answer for
60 s, is counted as a crash or a hang and replaced. Names that the file system refuses are listed as not made. Exit status 1 where any answer offends. Linux only."""
import argparse, io, os, pickle, random, resource, shutil, struct, sys, tempfile, time, zipfile, zlib
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from common import memory_mib, result, say

LIMIT_S, LIMIT_MB, GIVE_UP_S = 2., 500., 30.
Image.MAX_IMAGE_PIXELS = None                        # in this process, which makes the bombs; the workers start afresh

# ---- seeds: one small photo in every kind of file

def photo(w=320, h=240, seed=0):
    "Smooth noise, as hard to encode as a photo"
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (max(2, h//16), max(2, w//16), 3), dtype=np.uint8)).resize((w, h), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(soft, np.int16) + rng.integers(-6, 7, (h, w, 3))).clip(0, 255).astype(np.uint8))

def saved(im, fmt, **kwargs):
    "The file as bytes; of a copy, because Pillow leaves settings of one format in the image"
    b = io.BytesIO()
    if 'append_images' in kwargs: kwargs['append_images'] = [f.copy() for f in kwargs['append_images']]
    im.copy().save(b, fmt, **kwargs)
    return b.getvalue()

def oriented(n=6, **more):
    "An EXIF block that turns the photo"
    exif = Image.Exif(); exif[0x0112] = n
    for k, v in more.items(): exif[int(k[1:])] = v
    return exif

def grey16(im): return Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16) * 257)

def seeds():
    "Name -> bytes of valid files"
    im = photo(); alpha = im.copy(); alpha.putalpha(im.convert('L')); pal = im.quantize(64); film = dict(save_all=True, append_images=[photo(seed=i) for i in (1, 2, 3)])
    out = dict(jpg=saved(im, 'JPEG'), prog_jpg=saved(im, 'JPEG', progressive=True), cmyk_jpg=saved(im.convert('CMYK'), 'JPEG'), grey_jpg=saved(im.convert('L'), 'JPEG'), exif_jpg=saved(im, 'JPEG', exif=oriented(), subsampling=0),
               mpo=saved(im, 'MPO', **film), png=saved(im, 'PNG'), alpha_png=saved(alpha, 'PNG'), pal_png=saved(pal, 'PNG', transparency=3), grey16_png=saved(grey16(im), 'PNG'), bit_png=saved(im.convert('1'), 'PNG'),
               adam7_png=png(64, 48, interlace=1), apng=saved(im, 'PNG', **film), webp=saved(im, 'WEBP'), lossless_webp=saved(alpha, 'WEBP', lossless=True), film_webp=saved(im, 'WEBP', **film), gif=saved(pal, 'GIF', interlace=1),
               film_gif=saved(im, 'GIF', **film), bmp=saved(im, 'BMP'), pal_bmp=saved(pal, 'BMP'), rle_bmp=rle_bmp(64, 48), ppm=saved(im, 'PPM'), plain_ppm=b'P3\n# text\n8 6\n255\n' + b'10 20 30 ' * 48, deep_pgm=b'P5 64 48 1000 ' + bytes(64*48*2),
               avif=saved(im, 'AVIF', speed=10), film_avif=saved(im, 'AVIF', speed=10, **film), alpha_avif=saved(alpha, 'AVIF', speed=10))
    for name, source, kwargs in [('raw', im, {}), ('lzw', im, dict(compression='tiff_lzw')), ('deflate', alpha, dict(compression='tiff_adobe_deflate')), ('jpeg', im, dict(compression='jpeg')), ('packbits', pal, dict(compression='packbits')),
                                 ('g4', im.convert('1'), dict(compression='group4')), ('lzma', im, dict(compression='lzma')), ('zstd', im, dict(compression='zstd')), ('float', im.convert('F'), {}), ('grey16', grey16(im), {}), ('pages', im, film),
                                 ('turned', im, dict(exif=oriented(), compression='tiff_lzw'))]: out[f'{name}_tif'] = saved(source, 'TIFF', **kwargs)
    return out

# ---- writers that let one say anything

def chunk(kind, data, length=None, crc=None):
    "A PNG chunk, with a wrong length or checksum where asked"
    return struct.pack('>I', len(data) if length is None else length) + kind + data + struct.pack('>I', zlib.crc32(kind + data) if crc is None else crc)

def png(w, h, depth=8, colour=2, interlace=0, extra=b'', fill=b'\0', rows=None, behind=b'', split=1 << 30):
    "A PNG of one value, packed piece by piece, so that a bomb takes no memory here"
    n = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(w, h)] if not interlace else [((w - x + sx - 1)//sx, (h - y + sy - 1)//sy) for x, y, sx, sy in ((0,0,8,8), (4,0,8,8), (0,4,4,8), (2,0,4,4), (0,2,2,4), (1,0,2,2), (0,1,1,2))]
    z, body = zlib.compressobj(1), []
    for pw, ph in passes:
        if not pw: continue
        row = b'\0' + fill * min(100_000, (pw * n * depth + 7)//8)             # a wider one is refused before its pixels are read
        for at in range(0, ph if rows is None else rows, 256): body.append(z.compress(row * min(256, (ph if rows is None else rows) - at)))
    data = b''.join(body) + z.flush()
    idat = b''.join(chunk(b'IDAT', data[i:i+split]) for i in range(0, len(data), split))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, interlace)) + extra + (chunk(b'PLTE', bytes(range(48))) if colour == 3 else b'') + idat + behind + chunk(b'IEND', b'')

TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8, 13: 4}

def tiff(tags, body=b'', start=8, order='<', following=0):
    "A TIFF of tags (number, type, count, value or offset); `body` follows at `body_at(tags)`"
    head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'I', start)
    return head + struct.pack(order + 'H', len(tags)) + b''.join(struct.pack(order + 'HHI', *t[:3]) + struct.pack(order + ('HH' if t[1] == 3 and t[2] == 1 else 'I'), *((t[3], 0) if t[1] == 3 and t[2] == 1 else (t[3],))) for t in tags) + struct.pack(order + 'I', following) + body

def body_at(tags): return 8 + 2 + 12*len(tags) + 4

def plain_tiff(w, h, bits=8, compression=1, photometric=1, data=b'', samples=1, extra=(), rows=None, form=1, length=None):
    "A TIFF of one strip"
    tags = sorted([(256, 4, 1, w), (257, 4, 1, h), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, photometric), (273, 4, 1, 0), (277, 3, 1, samples), (278, 4, 1, rows or h), (279, 4, 1, len(data) if length is None else length), (339, 3, 1, form), *extra])
    at = body_at(tags)
    return tiff([(t[0], t[1], t[2], at) if t[0] == 273 else t for t in tags], data)

def rle_bmp(w, h, body=None):
    "A run-length coded BMP"
    body = b''.join(bytes([w % 256 or 255, 7]) + b'\0\0' for _ in range(h)) + b'\0\1' if body is None else body
    return b'BM' + struct.pack('<IHHI', 54 + 1024 + len(body), 0, 0, 54 + 1024) + struct.pack('<IiiHHIIiiII', 40, w, h, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(range(256)) * 4 + body

def segment(marker, data, length=None): return bytes([0xff, marker]) + struct.pack('>H', (len(data) + 2 if length is None else length) & 0xffff) + data

def jpeg(*segments, base=None, behind=b''):
    "A photo with segments put behind its first marker"
    base = base or saved(photo(64, 48), 'JPEG')
    return base[:2] + b''.join(segments) + base[2:] + behind

def box(kind, data, size=None): return struct.pack('>I', len(data) + 8 if size is None else size) + kind + data
def riff(*chunks): return b'RIFF' + struct.pack('<I', 4 + sum(map(len, chunks))) + b'WEBP' + b''.join(chunks)
def riff_chunk(kind, data): return kind + struct.pack('<I', len(data)) + data + b'\0' * (len(data) % 2)
def patched(data, at, new): return data[:at] + new + data[at + len(new):]

# ---- families of cases: each gives pairs of a file name and bytes

def broken(name, data, rng):
    "A valid file cut, flipped, zeroed, filled up"
    suffix = name.rpartition('_')[2]
    for share in (.02, .1, .3, .6, .9, .999): yield f'cut_{name}_{share}.{suffix}', data[:max(1, int(len(data) * share))]
    for i in range(5):
        bad = bytearray(data); reach = min(len(bad), 200) if i < 3 else len(bad)
        for _ in range((1, 4, 20, 3, 40)[i]): bad[rng.randrange(reach)] ^= 1 << rng.randrange(8)
        yield f'flip_{name}_{i}.{suffix}', bytes(bad)
    a = len(data) // 3
    yield f'zero_{name}.{suffix}', data[:a] + bytes(a) + data[2*a:]
    yield f'twice_{name}.{suffix}', data[:a] + data
    yield f'ones_{name}.{suffix}', data[:40] + b'\xff' * 5000 + data[40:]

def png_cases():
    good = saved(photo(64, 48), 'PNG'); head, rest = good[:33], good[33:]
    for n in (0, 1, 12, 14, 2**31 - 1, 2**32 - 1): yield f'png_ihdr_length_{n}.png', patched(good, 8, struct.pack('>I', n))
    for n in (0, 1, 2**31 - 1, 2**32 - 1): yield f'png_idat_length_{n}.png', patched(good, 33, struct.pack('>I', n))
    for w, h in ((0, 0), (0, 48), (1, 2**31 - 1), (2**32 - 1, 2**32 - 1), (65535, 65535), (1, 5000), (5000, 1), (1, 1)): yield f'png_size_{w}x{h}.png', png(w, h, rows=1)
    yield 'png_two_headers.png', head + good[8:33] + rest
    yield 'png_second_header_larger.png', head + chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0)) + rest
    yield 'png_no_header.png', good[:8] + rest
    yield 'png_no_data.png', head + chunk(b'IEND', b'')
    yield 'png_palette_missing.png', png(64, 48, colour=3).replace(b'PLTE', b'pLTe')
    yield 'png_bad_crc.png', head[:-4] + b'\0\0\0\0' + rest
    for d, c in ((3, 2), (16, 3), (32, 0), (8, 1), (8, 7), (0, 0)): yield f'png_kind_{d}_{c}.png', head[:24] + bytes([d, c]) + head[26:29] + struct.pack('>I', zlib.crc32(head[12:24] + bytes([d, c]) + head[26:29])) + rest
    bomb = zlib.compress(bytes(200_000_000), 9)
    spellings = [''.join(c.upper() if i >> j & 1 else c for j, c in enumerate('parameters')).encode() for i in range(490)]
    for i, word in enumerate((b'"prompt"', b'"base_model"', b'Steps: 1')): yield f'png_parameters_490_{i}.png', good[:-12] + b''.join(chunk(b'tEXt', k + b'\0' + word * (8000 // len(word))) for k in spellings) + good[-12:]
    for tail in (b'', b'>', b'><rdf:', b'   =   '): yield f'png_xmp_names_{len(tail)}.png', good[:-12] + chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + b''.join(b':' + n + tail for n in (b'CreatorTool', b'Credit', b'description', b'UserComment')) * 50_000) + good[-12:]
    for kind, data in ((b'zTXt', b'key\0\0' + bomb), (b'iTXt', b'key\0\1\0en\0key\0' + bomb), (b'iCCP', b'profile\0\0' + bomb)): yield f'png_{kind.decode()}_bomb.png', head + chunk(kind, data) + rest
    yield 'png_many_texts.png', head + chunk(b'zTXt', b'key\0\0' + zlib.compress(bytes(1_000_000), 9)) * 90 + rest
    yield 'png_text_60MB.png', head + chunk(b'tEXt', b'Raw profile type exif\0' + b'\n' * 60_000_000) + rest
    yield 'png_text_behind.png', good[:-12] + chunk(b'tEXt', b'Raw profile type exif\0' + b'\n' * 60_000_000) + good[-12:]
    yield 'png_private_90MB.png', head + chunk(b'prVt', bytes(90_000_000)) + rest
    yield 'png_million_chunks.png', head + chunk(b'prVt', b'') * 1_000_000 + rest
    yield 'png_million_chunks_behind.png', good[:-12] + chunk(b'prVt', b'') * 1_000_000 + good[-12:]
    yield 'png_million_data.png', head + chunk(b'IDAT', b'') * 1_000_000 + rest
    yield 'png_raw_exif_odd.png', head + chunk(b'tEXt', b'Raw profile type exif\0\nexif\n 8\nzz') + rest
    yield 'png_exif_bomb.png', head + chunk(b'eXIf', exif_bomb(2_000_000)) + rest
    yield 'png_idat_bomb.png', head + chunk(b'IDAT', bomb) + good[-12:]
    yield 'png_actl_million.png', head + chunk(b'acTL', struct.pack('>II', 2**31 - 1, 0)) + rest
    yield 'png_fctl_far.png', head + chunk(b'acTL', struct.pack('>II', 2, 0)) + chunk(b'fcTL', struct.pack('>IIIIIHHBB', 0, 64, 48, 2**31, 2**31, 1, 1, 0, 0)) + rest
    yield 'png_trailing_60MB.png', good + bytes(60_000_000)

def png_bombs():
    for name, w, h, k in (('rgb_50MP', 8160, 6120, {}), ('rgb_turned_50MP', 8160, 6120, dict(extra=chunk(b'eXIf', oriented().tobytes()[6:]))), ('rgb_square_49MP', 7000, 7000, {}), ('rgb_over', 7200, 7200, {}), ('rgb16_49MP', 7000, 7000, dict(depth=16)),
                          ('rgba_33MP', 5750, 5750, dict(colour=6)), ('rgba_over', 6000, 6000, dict(colour=6)), ('rgba16_33MP', 5750, 5750, dict(depth=16, colour=6)), ('grey_44MP', 6650, 6650, dict(colour=0)), ('grey16_39MP', 6300, 6300, dict(depth=16, colour=0)),
                          ('grey_alpha_33MP', 5750, 5750, dict(colour=4)), ('bit_44MP', 6650, 6650, dict(depth=1, colour=0)), ('palette_44MP', 6650, 6650, dict(colour=3, behind=b'')), ('adam7_49MP', 7000, 7000, dict(interlace=1)), ('adam7_rgba16_33MP', 5750, 5750, dict(interlace=1, depth=16, colour=6)),
                          ('100MP', 10000, 10000, {}), ('900MP', 30000, 30000, dict(rows=64)), ('3600MP', 60000, 60000, dict(rows=8)), ('clear_palette_44MP', 6650, 6650, dict(colour=3, extra=chunk(b'PLTE', bytes(range(48))) + chunk(b'tRNS', bytes(16))))):
        yield f'bomb_{name}.png', png(w, h, **k)
    noise = np.random.default_rng(0).bytes(1 << 20)
    yield 'slow_noise_33MP.png', noisy_png(5750, 5750, noise)

def noisy_png(w, h, noise):
    "An RGB PNG that is as slow to unpack as its size allows"
    z, data = zlib.compressobj(1), []
    for y in range(h):
        at = y * 7919 % (len(noise) - 3*w); data.append(z.compress(b'\4' + noise[at:at + 3*w]))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 0)) + chunk(b'IDAT', b''.join(data) + z.flush()) + chunk(b'IEND', b'')

def exif_bomb(n, tags=5400):
    "EXIF whose tags all point to the same n bytes"
    entries = [(1 + i, 7, n - 8, 8) for i in range(min(tags, 65000))]
    return (lambda b: b + bytes(max(0, n - len(b))))(tiff(entries))

def jpeg_cases():
    good = saved(photo(64, 48), 'JPEG'); sof = good.index(b'\xff\xc0'); sos = good.index(b'\xff\xda'); exif = b'Exif\0\0'
    for n in (0, 1, 2, 3, 65535): yield f'jpg_app_length_{n}.jpg', jpeg(segment(0xe1, exif, n)); yield f'jpg_sof_length_{n}.jpg', patched(good, sof + 2, struct.pack('>H', n))
    for w, h in ((0, 0), (64, 0), (65535, 65535), (65535, 1), (1, 65535), (14000, 14000), (15000, 15000)): yield f'jpg_size_{w}x{h}.jpg', patched(good, sof + 5, struct.pack('>HH', h, w))
    for bits in (0, 12, 16, 255): yield f'jpg_bits_{bits}.jpg', patched(good, sof + 4, bytes([bits]))
    for n in (0, 2, 4, 5, 255): yield f'jpg_colours_{n}.jpg', patched(good, sof + 9, bytes([n]))
    for s in (0x00, 0x44, 0x41, 0x14, 0xff, 0x55): yield f'jpg_sampling_{s:02x}.jpg', patched(good, sof + 11, bytes([s]))
    for k in (0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc9, 0xca, 0xcb, 0xcd, 0xce): yield f'jpg_frame_{k:x}.jpg', patched(good, sof + 1, bytes([k]))
    yield 'jpg_two_frames.jpg', good[:sof] + good[sof:sos] + good[sof:]
    yield 'jpg_two_starts.jpg', good[:2] + good
    yield 'jpg_no_tables.jpg', good.replace(b'\xff\xdb', b'\xff\xfe'); yield 'jpg_no_huffman.jpg', good.replace(b'\xff\xc4', b'\xff\xfe')
    yield 'jpg_no_end.jpg', good[:-2]; yield 'jpg_only_start.jpg', b'\xff\xd8\xff'; yield 'jpg_start_end.jpg', b'\xff\xd8\xff\xd9'
    yield 'jpg_dnl.jpg', patched(good, sof + 5, b'\0\0')[:-2] + segment(0xdc, b'\0\x30') + b'\xff\xd9'
    yield 'jpg_restart_1.jpg', good[:sos] + segment(0xdd, b'\0\1') + good[sos:]
    yield 'jpg_zeros_90MB.jpg', b'\xff\xd8\xff' + bytes(90_000_000)
    yield 'jpg_fill_90MB.jpg', b'\xff\xd8' + b'\xff' * 90_000_000
    yield 'jpg_behind_90MB.jpg', good + bytes(90_000_000)
    yield 'jpg_scan_zeros_90MB.jpg', good[:-2] + bytes(90_000_000) + b'\xff\xd9'
    yield 'jpg_scan_markers_60MB.jpg', good[:-2] + b'\xff\xd0' * 30_000_000 + b'\xff\xd9'
    yield 'jpg_exif_pieces_90MB.jpg', jpeg(segment(0xe1, exif + bytes(65_000)) * 1400)
    yield 'jpg_exif_pieces_15MB.jpg', jpeg(segment(0xe1, exif + bytes(65_000)) * 230)
    yield 'jpg_app_million.jpg', jpeg(segment(0xe5, b'') * 1_000_000)
    yield 'jpg_comments_15MB.jpg', jpeg(segment(0xfe, b'a' * 65_000) * 230)
    yield 'jpg_photoshop.jpg', jpeg(segment(0xed, b'Photoshop 3.0\0' + (b'8BIM' + struct.pack('>HBBI', 1, 0, 0, 0)) * 5000) * 200)
    yield 'jpg_exif_bomb.jpg', jpeg(segment(0xe1, exif + exif_bomb(65_000)))
    yield 'jpg_exif_bomb_pieces.jpg', jpeg(*[segment(0xe1, exif + p) for p in (lambda b: [b[i:i+65_000] for i in range(0, len(b), 65_000)])(exif_bomb(10_000_000, 65_000))])
    yield 'jpg_exif_rationals.jpg', jpeg(segment(0xe1, exif + tiff([(i, 5, 8000, 8) for i in range(2, 400)]).ljust(65_000, b'\0')))
    yield 'jpg_exif_loop.jpg', jpeg(segment(0xe1, exif + tiff([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xa005, 4, 1, 8)], following=8)))
    yield 'jpg_exif_orientation_text.jpg', jpeg(segment(0xe1, exif + tiff([(0x0112, 2, 4, 0x36363636)])))
    yield 'jpg_exif_orientation_9.jpg', jpeg(segment(0xe1, exif + tiff([(0x0112, 3, 1, 9)])))
    yield 'jpg_exif_orientation_many.jpg', jpeg(segment(0xe1, exif + tiff([(0x0112, 3, 2, 0x00060006)])))
    yield 'jpg_exif_half.jpg', jpeg(segment(0xe1, exif + b'II*\0\xff\xff\xff\xff'))
    yield 'jpg_xmp_orientation.jpg', jpeg(segment(0xe1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="9"/>'))
    yield 'jpg_icc_wrong.jpg', jpeg(*[segment(0xe2, b'ICC_PROFILE\0' + bytes([i % 255, 7]) + os.urandom(2000)) for i in range(300)])
    yield 'jpg_icc_junk.jpg', jpeg(segment(0xe2, b'ICC_PROFILE\0\1\1' + b'\xff' * 4000))
    yield 'jpg_mpf_entries.jpg', jpeg(segment(0xe2, b'MPF\0' + tiff([(0xb000, 7, 4, 0x30303130), (0xb001, 4, 1, 2**32 - 1), (0xb002, 7, 60_000, 8)]).ljust(64_000, b'\0')))
    yield 'jpg_mpf_zero.jpg', jpeg(segment(0xe2, b'MPF\0' + tiff([(0xb001, 4, 1, 0)])))
    small = saved(photo(64, 48), 'JPEG')
    yield 'mpo_deep.mpo', saved(photo(64, 48), 'MPO', save_all=True, append_images=[photo(64, 48)] * 400)
    yield 'mpo_inside.mpo', jpeg(segment(0xe2, b'MPF\0' + tiff([(0xb000, 7, 4, 0x30303130), (0xb001, 4, 1, 2), (0xb002, 7, 32, 50)], bytes(4) + struct.pack('<IIIHH', 0, 100, 0, 0, 0) * 2)), behind=small)
    flat = saved(Image.new('RGB', (64, 48)), 'JPEG', progressive=True); last = flat.rindex(b'\xff\xda')
    for n in (150, 100_000): yield f'jpg_scans_{n}.jpg', flat[:-2] + flat[last:-2] * n + b'\xff\xd9'

def jpeg_bombs():
    big = Image.new('RGB', (10000, 10000), (90, 120, 60)); last = lambda d: d.rindex(b'\xff\xda')
    yield 'flat_100MP.jpg', saved(big, 'JPEG')
    yield 'flat_100MP_turned.jpg', saved(big, 'JPEG', exif=oriented())
    yield 'flat_100MP_444.jpg', saved(big, 'JPEG', subsampling=0)
    d = saved(big, 'JPEG', progressive=True); yield 'flat_100MP_progressive.jpg', d; yield 'flat_100MP_scans_18.jpg', d[:-2] + d[last(d):-2] * 8 + b'\xff\xd9'; yield 'flat_100MP_scans_400.jpg', d[:-2] + d[last(d):-2] * 390 + b'\xff\xd9'
    yield 'flat_100MP_progressive_444.jpg', saved(big, 'JPEG', progressive=True, subsampling=0)
    yield 'flat_100MP_cmyk.jpg', saved(big.convert('CMYK'), 'JPEG')
    yield 'flat_100MP_grey.jpg', saved(big.convert('L'), 'JPEG')
    half = big.resize((7000, 7000)); d = saved(half, 'JPEG', progressive=True, subsampling=0); yield 'flat_49MP_progressive_444.jpg', d; yield 'flat_49MP_scans_20.jpg', d[:-2] + d[last(d):-2] * 10 + b'\xff\xd9'
    yield 'flat_49MP_turned.jpg', saved(half, 'JPEG', exif=oriented()); yield 'flat_49MP_transposed.jpg', saved(half, 'JPEG', exif=oriented(5))
    yield 'flat_33MP_cmyk_progressive.jpg', saved(half.resize((5750, 5750)).convert('CMYK'), 'JPEG', progressive=True)
    del big, half
    tile = photo(1000, 1000)
    for name, w, h, k in (('12MP', 4032, 3024, dict(quality=95)), ('24MP', 6000, 4000, dict(quality=95, subsampling=0)), ('50MP', 8160, 6120, dict(quality=92, exif=oriented())), ('108MP', 12000, 9000, dict(quality=90)), ('200MP', 16320, 12240, dict(quality=80)), ('63MP_progressive', 9000, 7000, dict(quality=85, progressive=True))):
        im = Image.new('RGB', (w, h))
        for y in range(0, h, 1000):
            for x in range(0, w, 1000): im.paste(tile, (x, y))
        yield f'photo_{name}.jpg', saved(im, 'JPEG', **k)

def webp_cases():
    good = saved(photo(64, 48), 'WEBP'); alpha = saved(photo(64, 48).convert('RGBA'), 'WEBP', lossless=True)
    for n in (0, 1, 2**31, 2**32 - 1): yield f'webp_riff_{n}.webp', patched(good, 4, struct.pack('<I', n)); yield f'webp_chunk_{n}.webp', patched(good, 16, struct.pack('<I', n))
    ext = lambda w, h, flags=0: riff_chunk(b'VP8X', bytes([flags, 0, 0, 0]) + (w - 1).to_bytes(3, 'little') + (h - 1).to_bytes(3, 'little'))
    for w, h in ((16384, 16384), (2**24, 2**24), (64, 48), (1, 1), (5000, 4900)): yield f'webp_canvas_{w}x{h}.webp', riff(ext(w, h), good[12:]); yield f'webp_film_canvas_{w}x{h}.webp', riff(ext(w, h, 2), riff_chunk(b'ANIM', bytes(6)), riff_chunk(b'ANMF', bytes(6) + (63).to_bytes(3, 'little') + (47).to_bytes(3, 'little') + bytes(4) + good[12:]))
    yield 'webp_ten_thousand_frames.webp', riff(ext(64, 48, 2), riff_chunk(b'ANIM', bytes(6)), *[riff_chunk(b'ANMF', bytes(6) + (63).to_bytes(3, 'little') + (47).to_bytes(3, 'little') + bytes(4) + good[12:])] * 10_000)
    yield 'webp_exif_bomb.webp', riff(ext(64, 48, 8), good[12:], riff_chunk(b'EXIF', exif_bomb(4_000_000, 60_000)))
    yield 'webp_icc_20MB.webp', riff(ext(64, 48, 32), riff_chunk(b'ICCP', bytes(20_000_000)), good[12:])
    yield 'webp_90MB.webp', riff(ext(64, 48), good[12:], riff_chunk(b'junk', bytes(90_000_000)))
    yield 'webp_chunks_million.webp', riff(ext(64, 48), good[12:], riff_chunk(b'junk', b'') * 1_000_000)
    yield 'webp_lossless_size.webp', patched(alpha, 21, struct.pack('<I', 0x0fffffff))
    for name, mode, n, k in (('24MP', 'RGB', (6000, 4160), {}), ('20MP_alpha', 'RGBA', (4450, 4450), {}), ('25MP_lossless', 'RGB', (5000, 5000), dict(lossless=True, quality=0)), ('over', 'RGB', (5100, 5100), {}), ('100MP', 'RGB', (10000, 10000), {})):
        yield f'bomb_{name}.webp', saved(Image.new(mode, n, 'teal'), 'WEBP', method=0, **k)

def tiled(w, h):
    "A larger photo laid out from a small one"
    tile, im = photo(1000, 1000), Image.new('RGB', (w, h))
    for y in range(0, h, 1000):
        for x in range(0, w, 1000): im.paste(tile, (x, y))
    return im

def slow_cases():
    yield 'slow_25MP.webp', saved(tiled(6000, 4100), 'WEBP', method=2, quality=75)
    yield 'slow_lossless_20MP.webp', saved(tiled(5000, 4000), 'WEBP', method=0, quality=0, lossless=True)
    yield 'slow_25MP.avif', saved(tiled(6000, 4100), 'AVIF', speed=10, quality=80)
    yield 'slow_lzw_33MP.tif', saved(tiled(5700, 5700), 'TIFF', compression='tiff_lzw')
    yield 'slow_lzma_20MP.tif', saved(tiled(5000, 4000), 'TIFF', compression='lzma')
    yield 'slow_44MP.gif', saved(tiled(7000, 6200).quantize(256, method=Image.Quantize.FASTOCTREE), 'GIF')

def avif_cases():
    good = saved(photo(64, 48), 'AVIF', speed=10); ispe = good.index(b'ispe') + 8
    for w, h in ((0, 0), (1, 1), (64, 49), (65535, 65535), (2**32 - 1, 1), (5000, 5000), (4900, 5100)): yield f'avif_size_{w}x{h}.avif', patched(good, ispe, struct.pack('>II', w, h))
    for kind in (b'ftyp', b'meta', b'iloc', b'iinf', b'iprp', b'ipco', b'ispe', b'av1C', b'mdat', b'pitm', b'ipma'):
        if kind in good:
            for n in (0, 1, 7, 2**32 - 1): yield f'avif_{kind.decode()}_{n}.avif', patched(good, good.index(kind) - 4, struct.pack('>I', n))
    big = saved(Image.new('RGB', (8192, 8192), 'teal'), 'AVIF', speed=10, subsampling='4:4:4'); at = big.index(b'ispe') + 8
    yield 'avif_67MP_inside.avif', patched(big, at, struct.pack('>II', 64, 64)); yield 'avif_67MP.avif', big
    for name, mode, n in (('25MP', 'RGB', (5000, 5000)), ('20MP_alpha', 'RGBA', (4450, 4450)), ('over', 'RGB', (5100, 5100))): yield f'bomb_{name}.avif', saved(Image.new(mode, n, 'teal'), 'AVIF', speed=10, subsampling='4:4:4')
    tame = tiff([]).ljust(4_000_000, b'U'); yield 'avif_exif_bomb.avif', saved(photo(64, 48), 'AVIF', speed=10, exif=b'Exif\0\0' + tame).replace(tame, exif_bomb(4_000_000, 60_000))
    yield 'avif_frames_600.avif', saved(photo(64, 48), 'AVIF', speed=10, save_all=True, append_images=[Image.new('RGB', (64, 48), (i % 256, 0, 0)) for i in range(600)])
    yield 'avif_90MB.avif', good + box(b'free', bytes(90_000_000))
    yield 'avif_24MB.avif', good + box(b'free', bytes(24_000_000))
    yield 'avif_boxes_million.avif', good + box(b'free', b'') * 1_000_000
    yield 'avif_nested.avif', box(b'ftyp', b'avif\0\0\0\0avifmif1') + (lambda b: [b := box(b'meta', bytes(4) + b) for _ in range(5000)][-1])(b'')
    yield 'heic.jpg', box(b'ftyp', b'heic\0\0\0\0mif1heic') + bytes(100); yield 'mif1.avif', box(b'ftyp', b'mif1\0\0\0\0mif1heic') + bytes(100)

def gif_cases():
    pal = photo(64, 48).quantize(32); good = saved(pal, 'GIF'); at = good.index(b'\x2c\0\0\0\0')
    for w, h in ((0, 0), (65535, 65535), (65535, 1), (6650, 6650), (6700, 6700)): yield f'gif_screen_{w}x{h}.gif', patched(good, 6, struct.pack('<HH', w, h))
    for w, h in ((0, 0), (65535, 65535), (6600, 6600)): yield f'gif_frame_{w}x{h}.gif', patched(good, at + 5, struct.pack('<HH', w, h))
    yield 'gif_frame_far.gif', patched(good, at + 1, b'\xff\xff\xff\xff')
    for n in (0, 1, 12, 255): yield f'gif_bits_{n}.gif', patched(good, good.index(b'\x2c\0\0\0\0') + 10, bytes([n]))
    yield 'gif_comment_long.gif', good[:at] + b'!\xfe' + (b'\xff' + b'a' * 255) * 200_000 + b'\0' + good[at:]
    yield 'gif_comment_pieces.gif', good[:at] + b'!\xfe' + b'\1a' * 5_000_000 + b'\0' + good[at:]
    yield 'gif_extensions.gif', good[:at] + b'!\xf9\4\0\0\0\0\0' * 1_000_000 + good[at:]
    yield 'gif_application.gif', good[:at] + b'!\xff\x0bNETSCAPE2.0' + b'\1\1' * 3_000_000 + b'\0' + good[at:]
    yield 'gif_five_thousand_frames.gif', saved(pal, 'GIF', save_all=True, append_images=[Image.new('P', (64, 48), i % 256) for i in range(5000)])
    yield 'gif_no_image.gif', good[:at] + b';'; yield 'gif_empty_data.gif', good[:at + 11] + b'\0;'
    yield 'bomb_44MP.gif', saved(Image.new('P', (6650, 6650)), 'GIF'); yield 'bomb_clear_44MP.gif', saved(Image.new('P', (6650, 6650)), 'GIF', transparency=0); yield 'bomb_over.gif', saved(Image.new('P', (7000, 7000)), 'GIF')

def tiff_cases():
    w, h = 64, 48; raw = bytes(w * h)
    for t in (1, 2, 3, 4, 5, 7, 11, 12, 13): yield f'tif_width_type_{t}.tif', plain_tiff(w, h, data=raw).replace(struct.pack('<HHI', 256, 4, 1), struct.pack('<HHI', 256, t, 1))
    for n in (0, 2**31, 2**32 - 1): yield f'tif_width_{n}.tif', plain_tiff(n, h, data=raw); yield f'tif_rows_{n}.tif', plain_tiff(w, h, data=raw, rows=n or 2**20); yield f'tif_length_{n}.tif', plain_tiff(w, h, data=raw, length=n)
    for c in (2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 34925, 50000, 50001, 34676, 34677, 32895, 99): yield f'tif_compression_{c}.tif', plain_tiff(w, h, compression=c, data=raw)
    for s in (0, 2, 3, 6, 7, 255, 65535): yield f'tif_samples_{s}.tif', plain_tiff(w, h, samples=s, data=raw)
    for b in (0, 1, 2, 4, 12, 16, 32, 64, 65535): yield f'tif_bits_{b}.tif', plain_tiff(w, h, bits=b, data=raw)
    for form in (2, 3, 4, 5, 6): yield f'tif_form_{form}.tif', plain_tiff(w, h, bits=32, form=form, data=bytes(4 * w * h))
    yield 'tif_ifd_itself.tif', tiff([(256, 4, 1, 8), (257, 4, 1, 8), (330, 4, 1, 8), (34665, 4, 1, 8)], following=8)
    yield 'tif_ifd_far.tif', b'II*\0\xff\xff\xff\xff'; yield 'tif_ifd_zero.tif', b'II*\0\0\0\0\0'; yield 'tif_no_tags.tif', tiff([])
    yield 'tif_tags_65535.tif', tiff([(i, 4, 1, 1) for i in range(65535)])
    yield 'tif_tags_same_20MB.tif', tiff([(i, 7, 19_000_000, 8) for i in range(60_000)]).ljust(20_000_000, b'\0')
    yield 'tif_offsets_20M.tif', plain_tiff(w, h, data=bytes(80_000_100)).replace(struct.pack('<HHI', 273, 4, 1), struct.pack('<HHI', 273, 4, 20_000_000))
    yield 'tif_offsets_250k.tif', plain_tiff(w, h, data=bytes(1_100_000), rows=1).replace(struct.pack('<HHI', 273, 4, 1), struct.pack('<HHI', 273, 4, 249_000))
    yield 'tif_rationals.tif', plain_tiff(w, h, data=bytes(4_000_000), extra=[(282, 5, 480_000, 200), (283, 5, 480_000, 200)])
    yield 'tif_layers_33MB.tif', plain_tiff(w, h, data=raw + bytes(33_000_000), extra=[(37724, 7, 33_000_000, 400)])
    yield 'tif_bits_many.tif', plain_tiff(w, h, data=bytes(2_000_000)).replace(struct.pack('<HHI', 258, 3, 1), struct.pack('<HHI', 258, 3, 900_000))
    yield 'tif_big.tif', b'II+\0\x08\0\0\0' + struct.pack('<QQ', 16, 2**63) + bytes(60)
    yield 'tif_orientation.tif', plain_tiff(w, h, data=raw, extra=[(274, 3, 1, 6)]); yield 'tif_orientation_99.tif', plain_tiff(w, h, data=raw, extra=[(274, 3, 1, 99)])
    tile = lambda tw, th, data: tiff(sorted([(256, 4, 1, w), (257, 4, 1, h), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), (322, 4, 1, tw), (323, 4, 1, th), (324, 4, 1, body_at([0] * 9)), (325, 4, 1, len(data))])[:10], data)
    for tw, th in ((16, 16), (0, 0), (13376, 13376), (2**31, 2), (2**20, 16)): yield f'tif_tile_{tw}x{th}.tif', tile(tw, th, zlib.compress(bytes(64_000_000), 9))
    pages = saved(Image.new('L', (64, 48)), 'TIFF', save_all=True, append_images=[Image.new('L', (64, 48), i % 256) for i in range(3000)]); yield 'tif_three_thousand_pages.tif', pages
    for c in (8, 5, 50000, 34925): yield f'tif_junk_{c}.tif', plain_tiff(2000, 2000, compression=c, data=os.urandom(50_000))
    n = 5000
    yield 'bomb_deflate_25MP_float.tif', plain_tiff(n, n, bits=32, form=3, compression=8, data=zlib.compress(bytes(4*n*n), 1))
    yield 'bomb_deflate_25MP_int.tif', plain_tiff(n, n, bits=32, form=2, compression=8, data=zlib.compress(bytes(4*n*n), 1))
    yield 'bomb_grey16_28MP.tif', plain_tiff(5300, 5300, bits=16, compression=8, data=zlib.compress(bytes(2*5300*5300), 1))
    yield 'bomb_raw_float_25MP.tif', plain_tiff(n, n, bits=32, form=3, data=bytes(4*n*n))
    yield 'bomb_deflate_100MP.tif', plain_tiff(10000, 10000, compression=8, data=zlib.compress(bytes(10**8), 1))
    for name, mode, side, k in (('lzw_33MP', 'RGB', 5750, dict(compression='tiff_lzw')), ('jpeg_33MP', 'RGB', 5750, dict(compression='jpeg')), ('alpha_25MP', 'RGBA', 4990, dict(compression='tiff_adobe_deflate')), ('cmyk_25MP', 'CMYK', 4990, dict(compression='tiff_lzw')), ('turned_33MP', 'RGB', 5750, dict(compression='tiff_lzw', exif=oriented())), ('one_strip_33MP', 'RGB', 5750, dict(compression='tiff_lzw', strip_size=2**30)), ('bit_39MP', '1', 6200, dict(compression='group4')), ('palette_30MP', 'P', 5500, dict(compression='packbits')), ('lab_25MP', 'LAB', 4990, dict(compression='tiff_lzw'))):
        yield f'bomb_{name}.tif', saved(Image.new(mode, (side, side)), 'TIFF', **k)

def other_cases():
    bmp = saved(photo(64, 48), 'BMP')
    for n in (0, 12, 41, 64, 2**31): yield f'bmp_header_{n}.bmp', patched(bmp, 14, struct.pack('<I', n))
    for w, h in ((0, 0), (-64, 48), (64, -48), (2**31 - 1, 2**31 - 1), (20000, 20000), (1, -2**31)): yield f'bmp_size_{w}x{h}.bmp', patched(bmp, 18, struct.pack('<ii', w, h))
    for b in (0, 1, 3, 16, 32, 64): yield f'bmp_bits_{b}.bmp', patched(bmp, 28, struct.pack('<H', b))
    for c in (1, 2, 3, 4, 5, 99): yield f'bmp_compression_{c}.bmp', patched(bmp, 30, struct.pack('<I', c))
    yield 'bmp_colours.bmp', patched(saved(photo(64, 48).quantize(16), 'BMP'), 46, struct.pack('<I', 2**32 - 1)); yield 'bmp_offset.bmp', patched(bmp, 10, struct.pack('<I', 2**32 - 1))
    yield 'bmp_rle_slow.bmp', rle_bmp(6000, 6000, b'\1\7' * 3_000_000); yield 'bmp_rle_1MP.bmp', rle_bmp(1000, 1000, b'\1\7' * 1_000_000); yield 'bmp_rle_jump.bmp', rle_bmp(990, 990, b'\0\2\xff\xff' * 100_000); yield 'bmp_rle_empty.bmp', rle_bmp(500, 500, b'')
    yield 'bomb_49MP.bmp', b'BM' + struct.pack('<IHHI', 0, 0, 0, 54) + struct.pack('<IiiHHIIiiII', 40, 5700, 5700, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(5700 * 3 * 5700)
    for name, head in (('P1', b'P1 900 900 '), ('P2', b'P2 900 900 255 '), ('P3', b'P3 900 900 255 '), ('P3_large', b'P3 9000 5000 255 '), ('P5_1000', b'P5 900 900 1000 '), ('P6_7_large', b'P6 6000 6000 7 '), ('P6_100', b'P6 900 900 100 '), ('P5_deep', b'P5 900 900 65535 '), ('Pf', b'Pf 900 900 -1.0 '), ('PF', b'PF 90 90 1.0 '), ('P7', b'P7\nWIDTH 90\n'), ('zero', b'P6 0 0 255 '), ('minus', b'P6 -5 -5 255 '), ('large', b'P6 99999 99999 255 '), ('long', b'P6 ' + b'9' * 5000), ('maxval_0', b'P6 90 90 0 '), ('nan', b'Pf 90 90 nan ')):
        yield f'ppm_{name}.ppm', head + (b'7 ' * 3_000_000 if head[1:2] in b'123' else bytes(5_000_000))
    yield 'ppm_comment_50MB.ppm', b'P6 #' + b'a' * 50_000_000 + b'\n64 48 255 ' + bytes(64*48*3); yield 'ppm_spaces_50MB.ppm', b'P6' + b' ' * 50_000_000 + b'64 48 255 ' + bytes(64*48*3)
    yield 'ppm_plain_token.ppm', b'P3 90 90 255 ' + b'1' * 5_000_000; yield 'ppm_plain_comments.ppm', b'P3 90 90 255 ' + b'#\n' * 2_500_000; yield 'ppm_plain_comment.ppm', b'P3 90 90 255 #' + b'a' * 5_000_000
    yield 'pfm_values.ppm', b'Pf 64 48 -1.0\n' + np.full(64*48, np.nan, '<f4').tobytes(); yield 'pfm_infinite.ppm', b'Pf 64 48 -1.0\n' + np.full(64*48, np.inf, '<f4').tobytes()

def foreign_cases():
    "What is no photo, or is one and something else too"
    im = saved(photo(64, 48), 'JPEG'); z = io.BytesIO()
    with zipfile.ZipFile(z, 'w', zipfile.ZIP_DEFLATED) as f: f.writestr('a.txt', 'a' * 1000); f.writestr('../../evil.txt', 'x')
    yield 'jpg_and_zip.jpg', im + z.getvalue(); yield 'zip.jpg', z.getvalue(); yield 'zip_and_jpg.jpg', z.getvalue() + im
    gif = saved(photo(64, 48).quantize(8), 'GIF'); yield 'gif_and_js.gif', gif[:6] + b'/*' + gif[8:] + b'*/=1;alert(1)'; yield 'js.gif', b'GIF89a=1;alert(document.cookie)//'
    good = saved(photo(64, 48), 'PNG'); html = b'<html><script>alert(1)</script></html>'
    yield 'png_and_html.png', good[:33] + chunk(b'tEXt', b'Comment\0' + html) + good[33:] + html; yield 'html.png', b'<!doctype html>' + html
    yield 'pdf_and_jpg.jpg', b'%PDF-1.4\n1 0 obj\nstream\n' + im + b'\nendstream'; yield 'jpg_and_pdf.jpg', jpeg(segment(0xfe, b'%PDF-1.4\n1 0 obj\nstream\n')); yield 'pdf.jpg', b'%PDF-1.7\n%\xe2\xe3'
    yield 'vector.svg', b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'; yield 'svg.png', b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><svg xmlns="http://www.w3.org/2000/svg">&b;</svg>'
    yield 'postscript.jpg', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(%pipe%id) (w) file\n'; yield 'image.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999999 9999999\n'; yield 'wmf.jpg', b'\xd7\xcd\xc6\x9a' + bytes(80)
    class Evil:
        def __reduce__(self): return os.system, ('echo unpickled > unpickled.txt',)
    yield 'pickle.jpg', pickle.dumps(Evil()); yield 'numpy.jpg', b'\x93NUMPY\1\0' + bytes(100); yield 'elf.jpg', b'\x7fELF' + bytes(200); yield 'exe.png', b'MZ' + bytes(200); yield 'script.jpg', b'#!/bin/sh\necho hello\n'
    yield 'gzip.jpg', b'\x1f\x8b\x08' + bytes(50); yield 'tar.jpg', b'a.jpg'.ljust(257, b'\0') + b'ustar' + bytes(300); yield '7z.png', b"7z\xbc\xaf'\x1c" + bytes(50); yield 'rar.webp', b'Rar!\x1a\7' + bytes(50)
    for name, start in (('psd', b'8BPS\0\1' + bytes(30)), ('ico', b'\0\0\1\0\1\0' + bytes(20)), ('jp2', b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(30)), ('exr', b'v/1\1' + bytes(30)), ('dds', b'DDS ' + bytes(130)), ('icns', b'icns' + bytes(30)), ('fits', b'SIMPLE  =' + bytes(100)), ('hdf', b'\x89HDF\r\n\x1a\n'), ('mp4', b'\0\0\0\x18ftypmp42' + bytes(40)), ('flif', b'FLIF' + bytes(20)), ('jxl', b'\xff\x0a' + bytes(20)), ('qoi', b'qoif' + struct.pack('>II', 60000, 60000) + bytes(9)), ('tga', bytes([0, 0, 2]) + bytes(50)), ('pcx', b'\n\5\1\x08' + bytes(130)), ('xbm', b'#define a_width 9999\n#define a_height 9999\n'), ('sgi', b'\1\xda\1\1' + bytes(200))): yield f'{name}.jpg', start
    yield 'empty.jpg', b''; yield 'one_byte.jpg', b'\xff'; yield 'two_bytes.png', b'\x89P'; yield 'zeros_1MB.jpg', bytes(1_000_000); yield 'noise.jpg', os.urandom(100_000); yield 'text.jpg', b'I am no picture'
    yield 'over_100MB.jpg', bytes(100_000_001); yield 'jpg_named.png', im; yield 'png_named.jpg', good; yield 'no_suffix', im; yield 'strip.jpg', saved(Image.new('RGB', (4000, 10)), 'JPEG'); yield 'one_pixel.jpg', saved(Image.new('RGB', (1, 1)), 'JPEG')
    for name in ('esc\x1b[31mred\x1b[0m.jpg', 'line\nbreak.jpg', 'tab\tname.jpg', 'bell\a.jpg', 'return\rover.jpg', 'bidi\u202egpj.exe', 'zero\u200bwidth.jpg', 'byte\udcff.jpg', ' spaces .jpg', '-rf.jpg', '$(id).jpg', '`id`.jpg', '%s%n{0}.jpg', 'a' * 240 + '.jpg', '写真.jpg', '😀.jpg', '[bold]x[bold].jpg', '<img src=x onerror=alert(1)>.jpg'.replace('/', '_'), "'; drop table.jpg", 'con.jpg', '..jpg', '...'):
        yield f'{name}', b'no picture'
        yield f'{name}.good.jpg' if len(name) < 200 else f'{name[:200]}.jpg', im

def special(folder):
    "Names that are no ordinary files: pairs of a name and a path"
    def at(name): return folder/name
    os.mkfifo(at('pipe.jpg')); at('folder.jpg').mkdir(); os.symlink('loop.jpg', at('loop.jpg')); os.symlink('nowhere', at('dangling.jpg')); os.symlink('/dev/zero', at('zero.jpg')); os.symlink('/dev/tty', at('tty.jpg')); os.symlink('/proc/self/mem', at('mem.jpg'))
    os.symlink('pipe.jpg', at('to_pipe.jpg')); os.symlink('folder.jpg', at('to_folder.jpg'))
    import socket
    here = os.getcwd(); os.chdir(folder); s = socket.socket(socket.AF_UNIX); s.bind('socket.jpg'); os.chdir(here)
    at('secret.jpg').write_bytes(b'x'); at('secret.jpg').chmod(0)
    with open(at('sparse_99MB.jpg'), 'wb') as f: f.truncate(99_000_000)
    with open(at('sparse_1TB.jpg'), 'wb') as f: f.truncate(10**12)
    for n in ('pipe.jpg', 'folder.jpg', 'loop.jpg', 'dangling.jpg', 'zero.jpg', 'tty.jpg', 'mem.jpg', 'to_pipe.jpg', 'to_folder.jpg', 'socket.jpg', 'secret.jpg', 'sparse_99MB.jpg', 'sparse_1TB.jpg', 'missing.jpg', 'secret.jpg/a.jpg'): yield n, str(at(n))
    yield 'nul', str(at('a\0b.jpg')); yield 'very_long', str(folder/('a' * 5000)); yield 'surrogate', str(at('\ud800.jpg')); yield 'up', str(at('../../../../../../etc/passwd')); yield 'empty_name', ''

FAMILIES = png_cases, jpeg_cases, webp_cases, gif_cases, tiff_cases, avif_cases, other_cases, foreign_cases, png_bombs, jpeg_bombs, slow_cases

def everything():
    "Pairs of a name and bytes, in a fixed order"
    rng = random.Random(0)
    for name, data in seeds().items():
        yield f'good_{name}.{name.rpartition("_")[2]}', data
        yield from broken(name, data, rng)
    for family in FAMILIES: yield from family()

def make(folder, only, limit, pipe):
    "Write the files; runs in a process of its own, because making bombs takes memory"
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30,) * 2)
    n = 0
    for name, data in everything():
        if only and only not in name: continue
        try: path = folder/name; path.write_bytes(data)
        except (OSError, ValueError): pipe.send((name, None)); continue                  # a file system that refuses the name
        pipe.send((name, str(path))); n += 1
        if limit and n >= limit: break
    if not limit:
        (folder/'special').mkdir()
        for name, path in special(folder/'special'):
            if not only or only in name: pipe.send((f'special: {name}', path))
    pipe.send(None)

# ---- trying them

def status(key):
    "A figure of /proc in MB"
    return memory_mib(key) * 2**20 / 1e6

def queued():
    "Seconds that the main thread of this process waited for a core"
    with open('/proc/self/schedstat') as f: return int(f.read().split()[1]) / 1e9

def bad_line(e, path):
    "What is wrong with an error, if anything"
    from face_fake_or_not.core import ImageError
    text = str(e)
    if not isinstance(e, ImageError): return f'{type(e).__name__} instead of an ImageError: {text[:200]!r}'
    if not text or not text.isprintable(): return f'not one printable line: {text[:200]!r}'
    if len(text) > 1000 + len(str(path)): return f'{len(text)} characters'

def try_all(pipe):
    "Worker: answers each path with what came of it"
    import warnings; warnings.simplefilter('ignore')
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)                     # libtiff complains there line by line, of each broken strip
    from face_fake_or_not.decode import open_image, to_rgb
    from face_fake_or_not.detector import load_detector
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30,) * 2)
    detector, drawn = load_detector(), photo(640, 480); detector.predict(drawn); detector.predict(saved(drawn, 'JPEG'))
    before = status('VmRSS')
    ways = dict(decode=lambda s: to_rgb(open_image(s)).size, predict=lambda s: detector.predict(s).verdict)
    while (path := pipe.recv()) is not None:
        out = []
        for way, call in ways.items():
            for kind in ('bytes', 'path'):
                source = path
                if kind == 'bytes':
                    if not os.path.isfile(path) or not os.access(path, os.R_OK) or not 0 < os.path.getsize(path) <= 100_000_000 or 'mem' in path: continue
                    source = Path(path).read_bytes()
                open('/proc/self/clear_refs', 'w').write('5')
                cpu, wall, turn = time.process_time(), time.perf_counter(), queued()
                try: kinds, told, wrong = 'result', str(call(source)), None
                except Exception as e: kinds, told, wrong = 'error', str(e), bad_line(e, path)
                held = len(source) / 1e6 if kind == 'bytes' else 0
                out.append((f'{way} {kind}', kinds, told, wrong, time.process_time() - cpu, time.perf_counter() - wall, queued() - turn, status('VmHWM') - before - held)); del source
        pipe.send(out)

class Worker:
    "A process that tries files, replaced when it dies or hangs"
    def __init__(self): self.start()

    def start(self):
        self.pipe, there = get_context('spawn').Pipe(); self.process = get_context('spawn').Process(target=try_all, args=(there,), daemon=True); self.process.start(); there.close()

    def answer(self, path):
        "What came of it, or 'crash' or 'hang'"
        try:
            self.pipe.send(path)
            if self.pipe.poll(2 * GIVE_UP_S): return self.pipe.recv()
            what = 'hang'
        except (EOFError, OSError): what = 'crash'
        self.process.kill(); self.process.join(); self.start()
        return what

def cases(pipe):
    "What the other process makes, as it comes; an exit when that process died"
    while True:
        try: case = pipe.recv()
        except EOFError: sys.exit('the process that makes the files died')
        if case is None: return
        yield case

def main():
    "Make, try, count; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--only', help='part of a name')
    p.add_argument('--n', type=int, help='no more than so many files')
    p.add_argument('--keep', type=Path, help='leave the files in this folder')
    p.add_argument('--show', action='store_true', help='print every answer')
    args = p.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp()); folder.mkdir(exist_ok=True)
    counts, worst, bad, start = dict(files=0, answers=0, result=0, error=0, unclear=0, crash=0, hang=0, slow=0, blocked=0, memory=0), dict(cpu_s=(0, ''), wall_s=(0, ''), growth_mb=(0, '')), [], time.time()
    not_made = []
    try:
        spawn = get_context('spawn'); here, there = spawn.Pipe(duplex=False); spawn.Process(target=make, args=(folder, args.only, args.n, there), daemon=True).start(); there.close()
        worker = Worker()
        for name, path in cases(here):
            if path is None: not_made.append(name.encode('unicode_escape').decode()); continue
            counts['files'] += 1
            answers = worker.answer(path)
            if isinstance(answers, str): counts[answers] += 1; bad.append(f'{answers}: {name!r}'); say(bad[-1]); answers = []
            for way, kind, told, wrong, cpu, wall, turn, mb in answers:
                counts['answers'] += 1; counts[kind] += 1
                problems = dict(unclear=wrong, slow=min(cpu, wall) > LIMIT_S and f'{cpu:.1f} s of CPU', blocked=wall - turn - cpu > LIMIT_S and cpu < (wall - turn) / 10 and f'{wall:.1f} s, {turn:.1f} of them for a core, with {cpu:.1f} s of CPU', memory=mb > LIMIT_MB and f'{mb:.0f} MB')
                for problem, text in problems.items():
                    if text: counts[problem] += 1; bad.append(f'{problem}: {name!r}, {way}: {text}'); say(bad[-1])
                for key, value in (('cpu_s', cpu), ('wall_s', wall), ('growth_mb', mb)): worst[key] = max(worst[key], (round(value, 2), f'{name}, {way}'.encode('unicode_escape').decode()))
                if args.show: say(f'{name!r} {way}: {kind} {cpu:.2f} s {mb:.0f} MB {told[-150:]!r}')
            if not args.keep and not name.startswith('special: '): Path(path).unlink(missing_ok=True)
            if counts['files'] % 50 == 0: say(f"{counts['files']} files, {time.time() - start:.0f} s")
        if os.path.exists('unpickled.txt'): bad.append('crash: a pickle was run')
    finally:
        if not args.keep: shutil.rmtree(folder, ignore_errors=True)
    say('\n'.join(bad) or 'every answer was a result or one clear error, in time and in memory')
    result('hostile', **counts, worst={k: dict(value=v, case=c) for k, (v, c) in worst.items()}, offenders=len(bad), not_made=not_made, seconds=round(time.time() - start))
    sys.exit(1 if bad else 0)

if __name__ == '__main__': main()

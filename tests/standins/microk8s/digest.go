// SHA3-384, which assertions use; the standard library has it only since Go 1.24.
package main

import (
	"encoding/binary"
	"math/bits"
)

const sha3Rate = 104 // bytes, of SHA3-384

type sha3State struct {
	lanes  [25]uint64
	buffer []byte
}

func (s *sha3State) Write(content []byte) (int, error) {
	s.buffer = append(s.buffer, content...)
	for len(s.buffer) >= sha3Rate {
		s.absorb(s.buffer[:sha3Rate])
		s.buffer = s.buffer[sha3Rate:]
	}
	return len(content), nil
}

func (s *sha3State) absorb(block []byte) {
	for n := 0; n < sha3Rate/8; n++ {
		s.lanes[n] ^= binary.LittleEndian.Uint64(block[8*n:])
	}
	s.permute()
}

// Sum ends the input.
func (s *sha3State) Sum() []byte {
	last := make([]byte, sha3Rate)
	copy(last, s.buffer)
	last[len(s.buffer)] ^= 0x06
	last[sha3Rate-1] ^= 0x80
	s.absorb(last)
	var out []byte
	for n := 0; n < 6; n++ {
		out = binary.LittleEndian.AppendUint64(out, s.lanes[n])
	}
	return out
}

// permute is Keccak-f[1600]; its constants come from the rules that define them.
func (s *sha3State) permute() {
	a, register := &s.lanes, uint8(1)
	for round := 0; round < 24; round++ {
		var c [5]uint64
		for x := 0; x < 5; x++ {
			c[x] = a[x] ^ a[x+5] ^ a[x+10] ^ a[x+15] ^ a[x+20]
		}
		for x := 0; x < 5; x++ {
			d := c[(x+4)%5] ^ bits.RotateLeft64(c[(x+1)%5], 1)
			for y := 0; y < 25; y += 5 {
				a[y+x] ^= d
			}
		}
		x, y, lane := 1, 0, a[1]
		for t := 0; t < 24; t++ {
			x, y = y, (2*x+3*y)%5
			lane, a[5*y+x] = a[5*y+x], bits.RotateLeft64(lane, (t+1)*(t+2)/2%64)
		}
		for y := 0; y < 25; y += 5 {
			var row [5]uint64
			copy(row[:], a[y:y+5])
			for x := 0; x < 5; x++ {
				a[y+x] = row[x] ^ (^row[(x+1)%5] & row[(x+2)%5])
			}
		}
		for bit := 0; bit < 7; bit++ {
			if register&1 != 0 {
				a[0] ^= 1 << (1<<bit - 1)
			}
			carry := register >> 7
			register <<= 1
			if carry != 0 {
				register ^= 0x71
			}
		}
	}
}

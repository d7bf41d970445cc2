package wit

import (
	"runtime"
	"unsafe"
)

// What the host wrote and nobody has taken over yet.
var given runtime.Pinner

// Allocate gives memory that stays where it is until the pinner lets go. It is aligned to eight bytes, which is all that the
// contract asks for.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if align > 8 {
		panic("memory that is aligned to more than eight bytes")
	}
	if size == 0 {
		return nil
	}
	words := make([]uint64, (size+7)/8)
	pointer := unsafe.Pointer(unsafe.SliceData(words))
	pinner.Pin(pointer)
	return pointer
}

// Unpin lets go of what the host wrote: texts hold what they are made of.
func Unpin() { given.Unpin() }

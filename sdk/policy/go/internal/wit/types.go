// Package wit is what the bindings that were generated of the contract stand on: the types that Go does not have, and
// memory that the host may write to.
package wit

// Which of two an Option is.
const (
	OptionNone = 0
	OptionSome = 1
)

// Option is a value, or none.
type Option[T any] struct {
	value *T
}

// Some is this value.
func Some[T any](value T) Option[T] { return Option[T]{&value} }

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Of is what a pointer leads to, if anywhere.
func Of[T any](pointer *T) Option[T] { return Option[T]{pointer} }

// Tag says which of the two it is.
func (option Option[T]) Tag() uint8 {
	if option.value == nil {
		return OptionNone
	}
	return OptionSome
}

// Some is the value; without one it panics.
func (option Option[T]) Some() T { return *option.value }

// Pointer leads to the value, or is nil.
func (option Option[T]) Pointer() *T { return option.value }

// Which of two a Result is.
const (
	ResultOk  = 0
	ResultErr = 1
)

// Result is what came of something, or what went wrong.
type Result[T any, E any] struct {
	ok  *T
	err E
}

// Ok is what came of it.
func Ok[T any, E any](value T) Result[T, E] { return Result[T, E]{ok: &value} }

// Err is what went wrong.
func Err[T any, E any](problem E) Result[T, E] { return Result[T, E]{err: problem} }

// Tag says which of the two it is.
func (result Result[T, E]) Tag() uint8 {
	if result.ok == nil {
		return ResultErr
	}
	return ResultOk
}

// Ok is what came of it; if nothing did it panics.
func (result Result[T, E]) Ok() T { return *result.ok }

// Err is what went wrong.
func (result Result[T, E]) Err() E { return result.err }

// Tuple2 is two values.
type Tuple2[T0 any, T1 any] struct {
	F0 T0
	F1 T1
}

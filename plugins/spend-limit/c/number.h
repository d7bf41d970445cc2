// Whole numbers, and nothing that two readers could read as two.

#ifndef NUMBER_H
#define NUMBER_H

#include <stdint.h>

#include "json.h"

// The largest whole number up to which every reader of JSON knows all others.
#define SAFE_MAX ((UINT64_C(1) << 53) - 1)

// Decimal digits without sign, blank or leading zero, that come to no more than `max`.
bool number_digits(struct text digits, uint64_t max, uint64_t *number);

// An amount of money, 1 or more: a JSON integer within the safe range, or a string of digits.
bool number_amount(struct text value, uint64_t *amount);

#endif

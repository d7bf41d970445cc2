#include "number.h"

bool number_digits(struct text digits, uint64_t max, uint64_t *number) {
    // 19 digits fit into 64 bits, whatever they are.
    if (digits.length == 0 || digits.length > 19 || (digits.at[0] == '0' && digits.length > 1)) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(digits.at[i] - '0');
    }
    *number = sum;
    return sum <= max;
}

bool number_amount(struct text value, uint64_t *amount) {
    struct text digits = value;
    // What a string may name is what readers with a sign bit hold, too.
    uint64_t max = json_string(value, &digits) ? INT64_MAX : SAFE_MAX;
    return number_digits(digits, max, amount) && *amount >= 1;
}

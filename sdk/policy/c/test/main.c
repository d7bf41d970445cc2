#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    char *text = attorn_new(1 << 20, 1);
    size_t length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    text[length] = 0;
    return text;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: tests patterns.json\n");
        return 2;
    }
    test_json();
    test_settings();
    test_verdicts();
    test_context();
    test_help(read_file(argv[1]));
    printf("5 tests passed\n");
    return 0;
}

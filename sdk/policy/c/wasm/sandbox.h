// What a sandbox does not have, said where it is used. `attorn policy build` puts this in front of every source.
//
// Without it, a clock would stand still for ever, chance would be the same each time, files would not be there, and what is
// printed would be lost: each of them silently.

#ifndef ATTORN_SANDBOX_H
#define ATTORN_SANDBOX_H

// No more than these: their names cannot be a policy's own from here on. What asks a system in another way is found when all
// is linked.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ATTORN_LACKS(why) __attribute__((unavailable(why)))
#define ATTORN_NO_CLOCK ATTORN_LACKS("a policy has no clock: `ctx->time` is the only time there is")
#define ATTORN_NO_CHANCE ATTORN_LACKS("a policy has no source of random numbers: its answer would be another each time")
#define ATTORN_NO_FILES ATTORN_LACKS("a policy has no files: what it has to know is in its settings, or a fact")
#define ATTORN_NO_OUTPUT ATTORN_LACKS("nobody reads what a policy prints: `attorn_log_info` writes to the decision record")
#define ATTORN_NO_SURROUNDINGS ATTORN_LACKS("a policy has no environment: what it has to know is in its settings")

#ifdef __cplusplus
extern "C" {
#endif

time_t time(time_t *) ATTORN_NO_CLOCK;
clock_t clock(void) ATTORN_NO_CLOCK;
int clock_gettime(clockid_t, struct timespec *) ATTORN_NO_CLOCK;
struct timeval;
int gettimeofday(struct timeval *__restrict, void *__restrict) ATTORN_NO_CLOCK;
int timespec_get(struct timespec *, int) ATTORN_NO_CLOCK;
struct tm *localtime(const time_t *) ATTORN_LACKS("a policy has no time zone: see `attorn_time_at`");
struct tm *localtime_r(const time_t *__restrict, struct tm *__restrict)
    ATTORN_LACKS("a policy has no time zone: see `attorn_time_at`");
int nanosleep(const struct timespec *, struct timespec *) ATTORN_NO_CLOCK;
unsigned sleep(unsigned) ATTORN_NO_CLOCK;
int usleep(unsigned) ATTORN_NO_CLOCK;

int rand(void) ATTORN_NO_CHANCE;
void srand(unsigned) ATTORN_NO_CHANCE;
int rand_r(unsigned *) ATTORN_NO_CHANCE;
long random(void) ATTORN_NO_CHANCE;
void srandom(unsigned) ATTORN_NO_CHANCE;
double drand48(void) ATTORN_NO_CHANCE;
long lrand48(void) ATTORN_NO_CHANCE;
long mrand48(void) ATTORN_NO_CHANCE;
int getentropy(void *, size_t) ATTORN_NO_CHANCE;
uint32_t arc4random(void) ATTORN_NO_CHANCE;
uint32_t arc4random_uniform(uint32_t) ATTORN_NO_CHANCE;
void arc4random_buf(void *, size_t) ATTORN_NO_CHANCE;

FILE *fopen(const char *__restrict, const char *__restrict) ATTORN_NO_FILES;
FILE *freopen(const char *__restrict, const char *__restrict, FILE *__restrict) ATTORN_NO_FILES;

int printf(const char *__restrict, ...) ATTORN_NO_OUTPUT;
int puts(const char *) ATTORN_NO_OUTPUT;
void perror(const char *) ATTORN_NO_OUTPUT;

char *getenv(const char *) ATTORN_NO_SURROUNDINGS;
_Noreturn void exit(int) ATTORN_LACKS("a policy says what is wrong by `attorn_fail`");

#ifdef __cplusplus
}
#endif

#endif

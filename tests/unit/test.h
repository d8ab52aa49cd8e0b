/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka and its prerequisites, in the order it needs them. */
#ifndef AP_TESTS_TEST_H
#define AP_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What tables need to know of the machine that they are made on: Aperture profiles its own. */
#ifndef AP_UNWIND_ARCH_H
#define AP_UNWIND_ARCH_H

#include <elf.h>

#include "base/macro.h"

/* AP_REG_RA: the column of the return address. AP_RA_IN_REGISTER: a call leaves it there. */
#if defined(__x86_64__)
#include "bpf/arch_x86.h"
#define AP_ELF_MACHINE	  EM_X86_64
#define AP_REG_RA	  16
#define AP_RA_IN_REGISTER false
#elif defined(__aarch64__)
#include "bpf/arch_arm64.h"
#define AP_ELF_MACHINE	  EM_AARCH64
#define AP_REG_RA	  30
#define AP_RA_IN_REGISTER true
#else
#error "no register numbers for this machine"
#endif

#endif

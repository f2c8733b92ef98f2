# What the standard library asks of an unwinder, for an enclave that aborts instead of unwinding.
#
# The target has no unwinder that Debian packages, and a panic here ends the enclave anyway. Walking
# the stack ends at once; everything that only an unwinding panic calls is a trap.

    .text
    .globl _Unwind_Backtrace
_Unwind_Backtrace:
    movl $5, %eax           # _URC_END_OF_STACK
    jmp .Lreturn

    .globl _Unwind_GetIP, _Unwind_GetIPInfo, _Unwind_GetCFA
_Unwind_GetIP:
_Unwind_GetIPInfo:
_Unwind_GetCFA:
    xorl %eax, %eax
    jmp .Lreturn

    .globl _Unwind_FindEnclosingFunction
_Unwind_FindEnclosingFunction:
    movq %rdi, %rax

# As the compiler returns for this target: the address is loaded, then used behind a fence.
.Lreturn:
    popq %rcx
    lfence
    jmpq *%rcx

    .globl _Unwind_GetRegionStart, _Unwind_GetTextRelBase, _Unwind_GetDataRelBase
    .globl _Unwind_GetLanguageSpecificData, _Unwind_GetGR, _Unwind_SetGR, _Unwind_SetIP
    .globl _Unwind_Resume, _Unwind_RaiseException, _Unwind_DeleteException
_Unwind_GetRegionStart:
_Unwind_GetTextRelBase:
_Unwind_GetDataRelBase:
_Unwind_GetLanguageSpecificData:
_Unwind_GetGR:
_Unwind_SetGR:
_Unwind_SetIP:
_Unwind_Resume:
_Unwind_RaiseException:
_Unwind_DeleteException:
    ud2

    .section .note.GNU-stack,"",@progbits

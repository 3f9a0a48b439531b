/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SMMUv3 structures in guest memory: stage 1 tables, context descriptors,
 * stream table entries, commands. Field names and positions follow Arm IHI 0070
 * (SMMUv3) and Arm DDI 0487 (VMSAv8-64).
 */
#ifndef SELFTEST_IOMMU_LIB_SMMUV3_H
#define SELFTEST_IOMMU_LIB_SMMUV3_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/iommufd.h>

#define SMMUV3_BIT(n)		(1ULL << (n))
#define SMMUV3_MASK(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))

/* SMMU_IDR0 to SMMU_IDR5, IHI 0070 section 6.3 */
#define IDR0_S2P		SMMUV3_BIT(0)
#define IDR0_S1P		SMMUV3_BIT(1)
#define IDR0_TTF		SMMUV3_MASK(3, 2)
#define IDR0_TTF_AARCH64	2
#define IDR0_COHACC		SMMUV3_BIT(4)
#define IDR0_HTTU		SMMUV3_MASK(7, 6)
#define IDR0_HTTU_DIRTY		2
#define IDR0_ATS		SMMUV3_BIT(10)
#define IDR0_ASID16		SMMUV3_BIT(12)
#define IDR0_PRI		SMMUV3_BIT(16)
#define IDR0_VMID16		SMMUV3_BIT(18)
#define IDR0_CD2L		SMMUV3_BIT(19)
#define IDR0_TTENDIAN		SMMUV3_MASK(22, 21)
#define IDR0_STALL_MODEL	SMMUV3_MASK(25, 24)
#define IDR0_TERM_MODEL		SMMUV3_BIT(26)
#define IDR0_ST_LEVEL		SMMUV3_MASK(28, 27)
#define IDR1_SIDSIZE		SMMUV3_MASK(5, 0)
#define IDR1_SSIDSIZE		SMMUV3_MASK(10, 6)
#define IDR3_FWB		SMMUV3_BIT(8)
#define IDR3_RIL		SMMUV3_BIT(10)
#define IDR3_BBML		SMMUV3_MASK(12, 11)
#define IDR5_OAS		SMMUV3_MASK(2, 0)
#define IDR5_GRAN4K		SMMUV3_BIT(4)
#define IDR5_GRAN16K		SMMUV3_BIT(5)
#define IDR5_GRAN64K		SMMUV3_BIT(6)
#define IDR5_DS			SMMUV3_BIT(7)
#define IDR5_VAX		SMMUV3_MASK(11, 10)

/* The two words of a vSTE, section 5.2 */
#define STE_0_V			SMMUV3_BIT(0)
#define STE_0_CONFIG		SMMUV3_MASK(3, 1)
#define STE_0_CONFIG_ABORT	0
#define STE_0_CONFIG_BYPASS	4
#define STE_0_CONFIG_S1		5
#define STE_0_S1FMT		SMMUV3_MASK(5, 4)
#define STE_0_S1CONTEXTPTR	SMMUV3_MASK(51, 6)
#define STE_0_S1CDMAX		SMMUV3_MASK(63, 59)
#define STE_1_S1DSS		SMMUV3_MASK(1, 0)
#define STE_1_S1CIR		SMMUV3_MASK(3, 2)
#define STE_1_S1COR		SMMUV3_MASK(5, 4)
#define STE_1_S1CSH		SMMUV3_MASK(7, 6)
#define STE_1_S1STALLD		SMMUV3_BIT(27)
#define STE_1_EATS		SMMUV3_MASK(29, 28)

/* Context descriptor, section 5.4 */
#define CD_0_T0SZ		SMMUV3_MASK(5, 0)
#define CD_0_TG0		SMMUV3_MASK(7, 6)
#define CD_0_IR0		SMMUV3_MASK(9, 8)
#define CD_0_OR0		SMMUV3_MASK(11, 10)
#define CD_0_SH0		SMMUV3_MASK(13, 12)
#define CD_0_EPD1		SMMUV3_BIT(30)
#define CD_0_V			SMMUV3_BIT(31)
#define CD_0_IPS		SMMUV3_MASK(34, 32)
#define CD_0_AA64		SMMUV3_BIT(41)
#define CD_0_R			SMMUV3_BIT(45)
#define CD_0_A			SMMUV3_BIT(46)
#define CD_0_ASET		SMMUV3_BIT(47)
#define CD_0_ASID		SMMUV3_MASK(63, 48)
#define CD_1_TTB0		SMMUV3_MASK(51, 4)

/* Cacheability and shareability of table walks */
#define CACHE_WB_RA		1
#define SHARE_INNER		3

/* Commands, section 4 */
#define CMD_0_OP		SMMUV3_MASK(7, 0)
#define CMD_0_NUM		SMMUV3_MASK(16, 12)
#define CMD_0_SCALE		SMMUV3_MASK(25, 20)
#define CMD_0_SSID		SMMUV3_MASK(31, 12)
#define CMD_0_VMID		SMMUV3_MASK(47, 32)
#define CMD_0_SID		SMMUV3_MASK(63, 32)
#define CMD_0_ASID		SMMUV3_MASK(63, 48)
#define CMD_1_LEAF		SMMUV3_BIT(0)
#define CMD_1_SIZE		SMMUV3_MASK(5, 0)
#define CMD_1_TTL		SMMUV3_MASK(9, 8)
#define CMD_1_TG		SMMUV3_MASK(11, 10)
#define CMD_1_VA		SMMUV3_MASK(63, 12)

enum smmuv3_op {
	OP_CFGI_CD = 0x05,
	OP_CFGI_CD_ALL = 0x06,
	OP_TLBI_NH_ALL = 0x10,
	OP_TLBI_NH_ASID = 0x11,
	OP_TLBI_NH_VA = 0x12,
	OP_TLBI_NH_VAA = 0x13,
	OP_TLBI_NSNH_ALL = 0x30,
	OP_ATC_INV = 0x40,
};

/**
 * smmuv3_get() - Extract a field from a word
 * @mask: the field
 * @word: the word
 *
 * Return: the value of the field
 */
static inline __u64 smmuv3_get(__u64 mask, __u64 word)
{
	return (word & mask) >> __builtin_ctzll(mask);
}

/**
 * smmuv3_put() - Shift a value into a field
 * @mask: the field
 * @val: its value; excess bits are dropped
 *
 * Return: the shifted value
 */
static inline __u64 smmuv3_put(__u64 mask, __u64 val)
{
	return (val << __builtin_ctzll(mask)) & mask;
}

/* ---- Guest memory ---- */

/**
 * struct smmuv3_mem - Memory for the structures of a guest
 * @va: its address in this process
 * @ipa: its guest address, aligned to the largest structure
 * @size: bytes
 * @used: bytes given out
 */
struct smmuv3_mem {
	void *va;
	__u64 ipa;
	size_t size;
	size_t used;
};

/**
 * smmuv3_mem_alloc() - Allocate zeroed memory
 * @mem: the pool
 * @size: bytes, a power of two; also the alignment
 *
 * Return: the IPA, or 0 if the pool is exhausted
 */
__u64 smmuv3_mem_alloc(struct smmuv3_mem *mem, size_t size);

static inline void *smmuv3_mem_ptr(struct smmuv3_mem *mem, __u64 ipa)
{
	return mem->va + (ipa - mem->ipa);
}

/* ---- Stage 1 tables ---- */

enum smmuv3_s1_prot {
	S1_RW = 0,
	S1_RO = 1 << 0,		/* AP[2] */
	S1_DEVICE = 1 << 1,	/* Device-nGnRE instead of Normal Write-Back */
};

/**
 * struct smmuv3_s1 - A stage 1 translation table
 * @mem: pool of its tables
 * @root: IPA of the first level
 * @granule_shift: 12, 14 or 16
 * @va_bits: 64 - T0SZ
 */
struct smmuv3_s1 {
	struct smmuv3_mem *mem;
	__u64 root;
	unsigned int granule_shift;
	unsigned int va_bits;
};

/**
 * smmuv3_s1_init() - Start an empty table
 * @s1: the table
 * @mem: pool of its tables
 * @granule_shift: 12, 14 or 16
 * @va_bits: size of the input addresses in bits, up to 48
 *
 * Return: 0, or -ENOMEM
 */
int smmuv3_s1_init(struct smmuv3_s1 *s1, struct smmuv3_mem *mem,
		   unsigned int granule_shift, unsigned int va_bits);

/**
 * smmuv3_s1_map() - Map VA to IPA with pages, replacing older entries
 * @s1: the table
 * @va: input address, aligned to the granule
 * @ipa: output address, aligned to the granule
 * @size: bytes, a multiple of the granule
 * @prot: enum smmuv3_s1_prot
 *
 * Does no TLB maintenance, which is for the test to do.
 *
 * Return: 0, or -ENOMEM
 */
int smmuv3_s1_map(struct smmuv3_s1 *s1, __u64 va, __u64 ipa, __u64 size,
		  unsigned int prot);

/* Map one level 2 block; @va and @ipa are aligned to its size */
int smmuv3_s1_map_block(struct smmuv3_s1 *s1, __u64 va, __u64 ipa,
			unsigned int prot);
__u64 smmuv3_s1_block_size(const struct smmuv3_s1 *s1);

/* Clear the leaf entries of a range mapped with pages */
int smmuv3_s1_unmap(struct smmuv3_s1 *s1, __u64 va, __u64 size);

/* ---- Context descriptors and vSTEs ---- */

/**
 * smmuv3_cd_alloc() - Allocate a table of one context descriptor with V=0
 * @mem: the pool
 *
 * Return: the IPA for S1ContextPtr, or 0 if the pool is exhausted
 */
__u64 smmuv3_cd_alloc(struct smmuv3_mem *mem);

/**
 * smmuv3_cd_write() - Point a context descriptor to a table
 * @mem: the pool that holds the CD
 * @cd: its IPA
 * @s1: the table
 * @asid: the ASID
 * @ips: size of output addresses, encoded like IDR5.OAS
 *
 * The SMMU need not see a change before CMD_CFGI_CD.
 */
void smmuv3_cd_write(struct smmuv3_mem *mem, __u64 cd,
		     const struct smmuv3_s1 *s1, unsigned int asid,
		     unsigned int ips);

struct iommu_hwpt_arm_smmuv3 smmuv3_ste(__u64 word0, __u64 word1);

/* Guest stage 1 over stage 2, with a linear table of one CD */
struct iommu_hwpt_arm_smmuv3 smmuv3_ste_s1(__u64 cd);
struct iommu_hwpt_arm_smmuv3 smmuv3_ste_bypass(void);
struct iommu_hwpt_arm_smmuv3 smmuv3_ste_abort(void);

/* V=0 and every other bit set: the SMMU ignores them */
struct iommu_hwpt_arm_smmuv3 smmuv3_ste_invalid(void);

/* ---- Commands ---- */

/* Short name for struct iommu_viommu_arm_smmuv3_invalidate */
struct smmuv3_cmd {
	__le64 dw[2];
};

struct smmuv3_cmd smmuv3_cmd(__u64 dw0, __u64 dw1);
struct smmuv3_cmd smmuv3_cmd_op(unsigned int op);
struct smmuv3_cmd smmuv3_tlbi_nsnh_all(void);
struct smmuv3_cmd smmuv3_tlbi_nh_all(void);
struct smmuv3_cmd smmuv3_tlbi_nh_asid(unsigned int asid);
struct smmuv3_cmd smmuv3_tlbi_nh_va(unsigned int asid, __u64 va, bool leaf);
struct smmuv3_cmd smmuv3_tlbi_nh_vaa(__u64 va, bool leaf);

/**
 * smmuv3_tlbi_range() - Turn a TLBI by address into a range invalidation
 * @cmd: TLBI_NH_VA or TLBI_NH_VAA
 * @tg: granule, encoded: 1 = 4K, 2 = 16K, 3 = 64K
 * @num: (@num + 1) * 2^@scale granules
 * @scale: see @num
 * @ttl: level of the leaf entries, 0 if unknown
 *
 * Return: the command
 */
struct smmuv3_cmd smmuv3_tlbi_range(struct smmuv3_cmd cmd, unsigned int tg,
				    unsigned int num, unsigned int scale,
				    unsigned int ttl);
struct smmuv3_cmd smmuv3_cfgi_cd(__u32 sid, __u32 ssid, bool leaf);
struct smmuv3_cmd smmuv3_cfgi_cd_all(__u32 sid);
struct smmuv3_cmd smmuv3_atc_inv(__u32 sid, __u64 addr, unsigned int size);

/* ---- Expectations of this machine ---- */

/**
 * smmuv3_why_no_nesting() - Reason for this host to refuse a vIOMMU
 * @info: the SMMU
 *
 * Judges by the ID registers and by the cacheability that firmware or the
 * administrator declares, independent of iommufd.
 *
 * Return: the reason in one line, or NULL if nesting must work
 */
const char *smmuv3_why_no_nesting(const struct iommu_hw_info_arm_smmuv3 *info);

#endif

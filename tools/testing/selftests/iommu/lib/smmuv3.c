// SPDX-License-Identifier: GPL-2.0
/* SMMUv3 structures in guest memory */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "smmuv3.h"

/* VMSAv8-64 stage 1 descriptors, DDI 0487 section D8.3 */
#define PTE_VALID		SMMUV3_BIT(0)
#define PTE_TABLE		SMMUV3_BIT(1)
#define PTE_PAGE		SMMUV3_BIT(1)
#define PTE_ATTRINDX		SMMUV3_MASK(4, 2)
#define PTE_AP_UNPRIV		SMMUV3_BIT(6)
#define PTE_AP_RDONLY		SMMUV3_BIT(7)
#define PTE_SH			SMMUV3_MASK(9, 8)
#define PTE_AF			SMMUV3_BIT(10)
#define PTE_NG			SMMUV3_BIT(11)
#define PTE_ADDR		SMMUV3_MASK(47, 12)

#define LAST_LEVEL		3

/* CD.MAIR: the two memory types that the tables use */
#define MAIR_IDX_NORMAL		0
#define MAIR_IDX_DEVICE		1
#define MAIR_NORMAL_WB		0xffULL
#define MAIR_DEVICE_NGNRE	0x04ULL

#define CD_DWORDS		8
#define CD_SIZE			(CD_DWORDS * sizeof(__le64))

/* The SMMU may read at any time: store once, after everything it points to */
static void guest_write64(__le64 *p, __u64 val)
{
	__atomic_store_n(p, htole64(val), __ATOMIC_RELEASE);
}

__u64 smmuv3_mem_alloc(struct smmuv3_mem *mem, size_t size)
{
	size_t at = (mem->used + size - 1) & ~(size - 1);

	if (at + size > mem->size)
		return 0;
	mem->used = at + size;
	memset(mem->va + at, 0, size);
	return mem->ipa + at;
}

/* ---- Stage 1 tables ---- */

static unsigned int level_bits(const struct smmuv3_s1 *s1)
{
	return s1->granule_shift - 3;
}

static unsigned int level_shift(const struct smmuv3_s1 *s1, int level)
{
	return s1->granule_shift + (LAST_LEVEL - level) * level_bits(s1);
}

static int first_level(const struct smmuv3_s1 *s1)
{
	return LAST_LEVEL -
	       (s1->va_bits - s1->granule_shift - 1) / level_bits(s1);
}

int smmuv3_s1_init(struct smmuv3_s1 *s1, struct smmuv3_mem *mem,
		   unsigned int granule_shift, unsigned int va_bits)
{
	s1->mem = mem;
	s1->granule_shift = granule_shift;
	s1->va_bits = va_bits;
	s1->root = smmuv3_mem_alloc(mem, 1UL << granule_shift);
	return s1->root ? 0 : -ENOMEM;
}

/* Entry for @va at @to_level; NULL if a table is missing or memory is short */
static __le64 *s1_entry(struct smmuv3_s1 *s1, __u64 va, int to_level,
			bool alloc)
{
	__u64 table = s1->root;
	__le64 *entry;
	__u64 desc;
	int level;

	for (level = first_level(s1);; level++) {
		entry = smmuv3_mem_ptr(s1->mem, table);
		entry += (va >> level_shift(s1, level)) &
			 ((1UL << level_bits(s1)) - 1);
		if (level == to_level)
			return entry;

		desc = le64toh(*entry);
		if (!(desc & PTE_VALID)) {
			if (!alloc)
				return NULL;
			table = smmuv3_mem_alloc(s1->mem,
						 1UL << s1->granule_shift);
			if (!table)
				return NULL;
			guest_write64(entry, table | PTE_TABLE | PTE_VALID);
		} else {
			table = desc & PTE_ADDR;
		}
	}
}

static __u64 s1_leaf(__u64 ipa, unsigned int prot)
{
	unsigned int attr = prot & S1_DEVICE ? MAIR_IDX_DEVICE :
					       MAIR_IDX_NORMAL;

	/* nG: tagged by the ASID. AP[1]: PCI transactions are unprivileged */
	return ipa | smmuv3_put(PTE_ATTRINDX, attr) | PTE_AP_UNPRIV |
	       (prot & S1_RO ? PTE_AP_RDONLY : 0) |
	       smmuv3_put(PTE_SH, SHARE_INNER) | PTE_AF | PTE_NG | PTE_VALID;
}

int smmuv3_s1_map(struct smmuv3_s1 *s1, __u64 va, __u64 ipa, __u64 size,
		  unsigned int prot)
{
	__u64 page = 1ULL << s1->granule_shift;
	__u64 off;

	for (off = 0; off < size; off += page) {
		__le64 *entry = s1_entry(s1, va + off, LAST_LEVEL, true);

		if (!entry)
			return -ENOMEM;
		guest_write64(entry, s1_leaf(ipa + off, prot) | PTE_PAGE);
	}
	return 0;
}

__u64 smmuv3_s1_block_size(const struct smmuv3_s1 *s1)
{
	return 1ULL << level_shift(s1, LAST_LEVEL - 1);
}

int smmuv3_s1_map_block(struct smmuv3_s1 *s1, __u64 va, __u64 ipa,
			unsigned int prot)
{
	__le64 *entry = s1_entry(s1, va, LAST_LEVEL - 1, true);

	if (!entry)
		return -ENOMEM;
	guest_write64(entry, s1_leaf(ipa, prot));
	return 0;
}

int smmuv3_s1_unmap(struct smmuv3_s1 *s1, __u64 va, __u64 size)
{
	__u64 page = 1ULL << s1->granule_shift;
	__u64 off;

	for (off = 0; off < size; off += page) {
		__le64 *entry = s1_entry(s1, va + off, LAST_LEVEL, false);

		if (!entry)
			return -ENOENT;
		guest_write64(entry, 0);
	}
	return 0;
}

/* ---- Context descriptors and vSTEs ---- */

__u64 smmuv3_cd_alloc(struct smmuv3_mem *mem)
{
	return smmuv3_mem_alloc(mem, CD_SIZE);
}

static unsigned int cd_tg0(const struct smmuv3_s1 *s1)
{
	switch (s1->granule_shift) {
	case 14:
		return 2;
	case 16:
		return 1;
	default:
		return 0;
	}
}

void smmuv3_cd_write(struct smmuv3_mem *mem, __u64 cd,
		     const struct smmuv3_s1 *s1, unsigned int asid,
		     unsigned int ips)
{
	__le64 *dw = smmuv3_mem_ptr(mem, cd);

	guest_write64(&dw[1], s1->root & CD_1_TTB0);
	guest_write64(&dw[3], MAIR_NORMAL_WB << (8 * MAIR_IDX_NORMAL) |
			      MAIR_DEVICE_NGNRE << (8 * MAIR_IDX_DEVICE));
	/* The word with V last. A: faults abort, R: faults are reported */
	guest_write64(&dw[0], smmuv3_put(CD_0_T0SZ, 64 - s1->va_bits) |
			      smmuv3_put(CD_0_TG0, cd_tg0(s1)) |
			      smmuv3_put(CD_0_IR0, CACHE_WB_RA) |
			      smmuv3_put(CD_0_OR0, CACHE_WB_RA) |
			      smmuv3_put(CD_0_SH0, SHARE_INNER) |
			      CD_0_EPD1 | CD_0_V |
			      smmuv3_put(CD_0_IPS, ips) | CD_0_AA64 |
			      CD_0_R | CD_0_A | CD_0_ASET |
			      smmuv3_put(CD_0_ASID, asid));
}

struct iommu_hwpt_arm_smmuv3 smmuv3_ste(__u64 word0, __u64 word1)
{
	struct iommu_hwpt_arm_smmuv3 ste = {
		.ste = { htole64(word0), htole64(word1) },
	};

	return ste;
}

struct iommu_hwpt_arm_smmuv3 smmuv3_ste_s1(__u64 cd)
{
	return smmuv3_ste(STE_0_V | smmuv3_put(STE_0_CONFIG, STE_0_CONFIG_S1) |
			  (cd & STE_0_S1CONTEXTPTR),
			  smmuv3_put(STE_1_S1CIR, CACHE_WB_RA) |
			  smmuv3_put(STE_1_S1COR, CACHE_WB_RA) |
			  smmuv3_put(STE_1_S1CSH, SHARE_INNER));
}

struct iommu_hwpt_arm_smmuv3 smmuv3_ste_bypass(void)
{
	return smmuv3_ste(STE_0_V |
			  smmuv3_put(STE_0_CONFIG, STE_0_CONFIG_BYPASS), 0);
}

struct iommu_hwpt_arm_smmuv3 smmuv3_ste_abort(void)
{
	return smmuv3_ste(STE_0_V |
			  smmuv3_put(STE_0_CONFIG, STE_0_CONFIG_ABORT), 0);
}

struct iommu_hwpt_arm_smmuv3 smmuv3_ste_invalid(void)
{
	return smmuv3_ste(~STE_0_V, ~0ULL);
}

/* ---- Commands ---- */

struct smmuv3_cmd smmuv3_cmd(__u64 dw0, __u64 dw1)
{
	struct smmuv3_cmd cmd = { .dw = { htole64(dw0), htole64(dw1) } };

	return cmd;
}

struct smmuv3_cmd smmuv3_cmd_op(unsigned int op)
{
	return smmuv3_cmd(smmuv3_put(CMD_0_OP, op), 0);
}

struct smmuv3_cmd smmuv3_tlbi_nsnh_all(void)
{
	return smmuv3_cmd_op(OP_TLBI_NSNH_ALL);
}

struct smmuv3_cmd smmuv3_tlbi_nh_all(void)
{
	return smmuv3_cmd_op(OP_TLBI_NH_ALL);
}

struct smmuv3_cmd smmuv3_tlbi_nh_asid(unsigned int asid)
{
	return smmuv3_cmd(OP_TLBI_NH_ASID | smmuv3_put(CMD_0_ASID, asid), 0);
}

struct smmuv3_cmd smmuv3_tlbi_nh_va(unsigned int asid, __u64 va, bool leaf)
{
	return smmuv3_cmd(OP_TLBI_NH_VA | smmuv3_put(CMD_0_ASID, asid),
			  (va & CMD_1_VA) | (leaf ? CMD_1_LEAF : 0));
}

struct smmuv3_cmd smmuv3_tlbi_nh_vaa(__u64 va, bool leaf)
{
	return smmuv3_cmd(OP_TLBI_NH_VAA,
			  (va & CMD_1_VA) | (leaf ? CMD_1_LEAF : 0));
}

struct smmuv3_cmd smmuv3_tlbi_range(struct smmuv3_cmd cmd, unsigned int tg,
				    unsigned int num, unsigned int scale,
				    unsigned int ttl)
{
	cmd.dw[0] |= htole64(smmuv3_put(CMD_0_NUM, num) |
			     smmuv3_put(CMD_0_SCALE, scale));
	cmd.dw[1] |= htole64(smmuv3_put(CMD_1_TTL, ttl) |
			     smmuv3_put(CMD_1_TG, tg));
	return cmd;
}

struct smmuv3_cmd smmuv3_cfgi_cd(__u32 sid, __u32 ssid, bool leaf)
{
	return smmuv3_cmd(OP_CFGI_CD | smmuv3_put(CMD_0_SSID, ssid) |
			  smmuv3_put(CMD_0_SID, sid), leaf ? CMD_1_LEAF : 0);
}

struct smmuv3_cmd smmuv3_cfgi_cd_all(__u32 sid)
{
	return smmuv3_cmd(OP_CFGI_CD_ALL | smmuv3_put(CMD_0_SID, sid), 0);
}

struct smmuv3_cmd smmuv3_atc_inv(__u32 sid, __u64 addr, unsigned int size)
{
	return smmuv3_cmd(OP_ATC_INV | smmuv3_put(CMD_0_SID, sid),
			  (addr & CMD_1_VA) | smmuv3_put(CMD_1_SIZE, size));
}

/* ---- Expectations of this machine ---- */

static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read(fd, buf, size);
	close(fd);
	return len;
}

static bool admin_says_canwbs(void)
{
	char val[4];

	return read_file("/sys/module/arm_smmu_v3/parameters/assume_canwbs",
			 val, sizeof(val)) > 0 &&
	       (val[0] == 'Y' || val[0] == '1');
}

/*
 * IORT, Arm DEN 0049. Byte 40 of the table header holds the offset of the first
 * node. A node starts with its type (u8) and length (u16); its data starts at
 * byte 16. The data of a PCI root complex (type 2) starts with 8 bytes of
 * memory access properties; the last of them holds the flags.
 */
static bool firmware_says_canwbs(void)
{
	static __u8 iort[65536];
	const size_t num_at = 36, first_at = 40, flags_at = 16 + 7, min = 24;
	const __u8 root_complex = 2, canwbs = 1 << 2;
	__u32 num, at;
	__u16 node_len;
	ssize_t len;

	len = read_file("/sys/firmware/acpi/tables/IORT", iort, sizeof(iort));
	if (len < (ssize_t)(first_at + sizeof(at)))
		return false;
	memcpy(&num, iort + num_at, sizeof(num));
	memcpy(&at, iort + first_at, sizeof(at));
	num = le32toh(num);
	for (at = le32toh(at); num && at + min <= (size_t)len; num--) {
		if (iort[at] == root_complex)
			return iort[at + flags_at] & canwbs;
		memcpy(&node_len, iort + at + 1, sizeof(node_len));
		if (!node_len)
			break;
		at += le16toh(node_len);
	}
	return false;
}

const char *smmuv3_why_no_nesting(const struct iommu_hw_info_arm_smmuv3 *info)
{
	if (!(info->idr[0] & IDR0_S1P))
		return "the SMMU has no stage 1 (IDR0.S1P)";
	if (!(info->idr[0] & IDR0_S2P))
		return "the SMMU has no stage 2 (IDR0.S2P)";
	if (!(info->idr[3] & IDR3_FWB) && !firmware_says_canwbs() &&
	    !admin_says_canwbs())
		return "neither IDR3.FWB nor CANWBS in the IORT nor arm_smmu_v3.assume_canwbs=1";
	return NULL;
}

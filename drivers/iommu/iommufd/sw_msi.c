// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSI doorbells behind an IOMMU that translates them.
 *
 * The IOMMU driver sets an IOVA window aside (IOMMU_RESV_SW_MSI). Each doorbell
 * page that a device of the iommufd uses gets the next page of that window, and
 * keeps it until the iommufd is closed. So an address that was written to a
 * device stays valid, whichever HWPT the device is attached to later.
 *
 * The doorbell is mapped in the kernel-managed page table, for a nested HWPT in
 * the nest parent. It is mapped for as long as a group is attached there, since
 * the window is reserved in the IOAS for that time. The guest's stage 1
 * controls access to the window. A VMM has the guest map the window one to one.
 */
#include <linux/iommu.h>
#include <linux/msi.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* A doorbell page and its place in the window */
struct iommufd_sw_msi_map {
	struct list_head item;
	phys_addr_t window_start;
	phys_addr_t doorbell;
	unsigned int pgoff;
	/* Bit in required_sw_msi and present_sw_msi */
	unsigned int id;
};

static dma_addr_t iommufd_sw_msi_iova(const struct iommufd_sw_msi_map *map)
{
	return map->window_start + (dma_addr_t)map->pgoff * PAGE_SIZE;
}

static struct iommufd_sw_msi_map *
iommufd_sw_msi_get_map(struct iommufd_ctx *ictx,
		       const struct iommufd_sw_msi_window *window,
		       phys_addr_t doorbell)
{
	struct iommufd_sw_msi_map *map;
	unsigned int pgoff = 0;
	unsigned int id = 0;

	lockdep_assert_held(&ictx->sw_msi_lock);

	list_for_each_entry(map, &ictx->sw_msi_list, item) {
		id++;
		if (map->window_start != window->start)
			continue;
		if (map->doorbell == doorbell)
			return map;
		pgoff++;
	}

	if (pgoff >= window->length / PAGE_SIZE)
		return ERR_PTR(-ENOSPC);
	if (id >= IOMMUFD_SW_MSI_MAX)
		return ERR_PTR(-EOVERFLOW);

	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return ERR_PTR(-ENOMEM);
	map->window_start = window->start;
	map->doorbell = doorbell;
	map->pgoff = pgoff;
	map->id = id;
	list_add_tail(&map->item, &ictx->sw_msi_list);
	return map;
}

static int iommufd_sw_msi_install(struct iommufd_ctx *ictx,
				  struct iommufd_hwpt_paging *hwpt_paging,
				  const struct iommufd_sw_msi_map *map)
{
	struct iommu_domain *domain = hwpt_paging->common.domain;
	dma_addr_t iova = iommufd_sw_msi_iova(map);
	int rc;

	lockdep_assert_held(&ictx->sw_msi_lock);

	if (test_bit(map->id, hwpt_paging->present_sw_msi))
		return 0;
	/* The window may be outside of the aperture that user space chose */
	if (iova < domain->geometry.aperture_start ||
	    iova + PAGE_SIZE - 1 > domain->geometry.aperture_end)
		return -ENOSPC;
	/* Devices only write to a doorbell */
	rc = iommu_map(domain, iova, map->doorbell, PAGE_SIZE,
		       IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO,
		       GFP_KERNEL_ACCOUNT);
	if (rc)
		return rc;
	set_bit(map->id, hwpt_paging->present_sw_msi);
	return 0;
}

/*
 * Some drivers choose the geometry of a page table when it is first attached.
 * Until then there is no aperture, and nothing can be mapped.
 */
static bool iommufd_sw_msi_can_map(const struct iommufd_hwpt_paging *hwpt_paging)
{
	return hwpt_paging->common.domain->geometry.aperture_end;
}

static int iommufd_sw_msi_install_required(struct iommufd_group *igroup,
					   struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommufd_ctx *ictx = igroup->ictx;
	struct iommufd_sw_msi_map *map;
	int rc;

	list_for_each_entry(map, &ictx->sw_msi_list, item) {
		if (!test_bit(map->id, igroup->required_sw_msi))
			continue;
		rc = iommufd_sw_msi_install(ictx, hwpt_paging, map);
		if (rc)
			return rc;
	}
	return 0;
}

/* Unmap all doorbells from a page table that no group needs them in */
static void iommufd_sw_msi_release(struct iommufd_ctx *ictx,
				   struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommufd_sw_msi_map *map;

	lockdep_assert_held(&ictx->sw_msi_lock);

	if (hwpt_paging->num_sw_msi_groups)
		return;
	list_for_each_entry(map, &ictx->sw_msi_list, item)
		if (test_and_clear_bit(map->id, hwpt_paging->present_sw_msi))
			iommu_unmap(hwpt_paging->common.domain,
				    iommufd_sw_msi_iova(map), PAGE_SIZE);
}

/*
 * The sw_msi op of all iommufd domains. It is called under the group's mutex,
 * so neither the domain nor the handle can change.
 */
static int iommufd_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
			  phys_addr_t msi_addr)
{
	struct iommufd_attach_handle *handle;
	struct iommu_attach_handle *raw;
	struct iommufd_sw_msi_map *map;
	struct iommu_group *group;
	struct iommufd_group *igroup;
	struct iommufd_ctx *ictx;
	int rc = 0;

	group = iommu_group_get(msi_desc_to_dev(desc));
	if (!group)
		return -ENODEV;
	raw = iommu_attach_handle_get(group, IOMMU_NO_PASID, 0);
	iommu_group_put(group);
	if (IS_ERR(raw))
		return PTR_ERR(raw);
	/* Only iommufd attaches domains with this op, and always by handle */
	if (WARN_ON(raw->domain != domain))
		return -EINVAL;
	handle = to_iommufd_handle(raw);
	igroup = handle->igroup;
	ictx = igroup->ictx;

	/* The core accepts a doorbell that the IOMMU does not translate */
	if (!igroup->sw_msi_window.length)
		return -EOPNOTSUPP;

	mutex_lock(&ictx->sw_msi_lock);
	map = iommufd_sw_msi_get_map(ictx, &igroup->sw_msi_window,
				     msi_addr & PAGE_MASK);
	if (IS_ERR(map)) {
		rc = PTR_ERR(map);
		goto out_unlock;
	}
	rc = iommufd_sw_msi_install(ictx, find_hwpt_paging(handle->hwpt), map);
	if (rc)
		goto out_unlock;
	if (igroup->sw_msi_next && iommufd_sw_msi_can_map(igroup->sw_msi_next)) {
		rc = iommufd_sw_msi_install(ictx, igroup->sw_msi_next, map);
		if (rc)
			goto out_unlock;
	}
	set_bit(map->id, igroup->required_sw_msi);
	msi_desc_set_iommu_msi_iova(desc, iommufd_sw_msi_iova(map), PAGE_SHIFT);
out_unlock:
	mutex_unlock(&ictx->sw_msi_lock);
	return rc;
}

/**
 * iommufd_sw_msi_init_domain() - Have the core ask iommufd about MSI doorbells
 * @domain: Domain of an HWPT
 */
void iommufd_sw_msi_init_domain(struct iommu_domain *domain)
{
	domain->sw_msi = iommufd_sw_msi;
}

/**
 * iommufd_sw_msi_prepare() - Map the group's doorbells in its next page table
 * @igroup: The group, locked
 * @hwpt_paging: Page table that the group is about to be attached to or nested
 *               on
 *
 * Doorbells that come into use from now on are mapped there as well, until
 * iommufd_sw_msi_finish(). The window must be reserved in the IOAS by now.
 *
 * Return: 0, or with nothing left to finish
 * * -ENOSPC if the window is outside of the aperture of @hwpt_paging
 * * the error of iommu_map()
 */
int iommufd_sw_msi_prepare(struct iommufd_group *igroup,
			   struct iommufd_hwpt_paging *hwpt_paging)
{
	struct iommufd_ctx *ictx = igroup->ictx;
	int rc = 0;

	lockdep_assert_held(&igroup->lock);

	mutex_lock(&ictx->sw_msi_lock);
	if (iommufd_sw_msi_can_map(hwpt_paging))
		rc = iommufd_sw_msi_install_required(igroup, hwpt_paging);
	if (rc) {
		iommufd_sw_msi_release(ictx, hwpt_paging);
	} else {
		igroup->sw_msi_next = hwpt_paging;
		hwpt_paging->num_sw_msi_groups++;
	}
	mutex_unlock(&ictx->sw_msi_lock);
	return rc;
}

/**
 * iommufd_sw_msi_complete() - Map the doorbells that were not prepared
 * @igroup: The group, locked
 * @hwpt_paging: Page table that the group was prepared for and is attached to
 *               now
 *
 * A page table without an aperture gets no mapping from
 * iommufd_sw_msi_prepare().
 *
 * Return: as iommufd_sw_msi_prepare(). On failure the caller detaches the
 * group, and calls iommufd_sw_msi_finish() as for an attach that failed.
 */
int iommufd_sw_msi_complete(struct iommufd_group *igroup,
			    struct iommufd_hwpt_paging *hwpt_paging)
{
	int rc;

	lockdep_assert_held(&igroup->lock);

	mutex_lock(&igroup->ictx->sw_msi_lock);
	rc = iommufd_sw_msi_install_required(igroup, hwpt_paging);
	mutex_unlock(&igroup->ictx->sw_msi_lock);
	return rc;
}

/**
 * iommufd_sw_msi_finish() - End the attach, replace or detach of a group
 * @igroup: The group, locked
 * @left: Page table that the group has left, or was prepared for in vain; NULL
 *        if there is none
 *
 * The window must still be reserved in the IOAS of @left.
 */
void iommufd_sw_msi_finish(struct iommufd_group *igroup,
			   struct iommufd_hwpt_paging *left)
{
	struct iommufd_ctx *ictx = igroup->ictx;

	lockdep_assert_held(&igroup->lock);

	mutex_lock(&ictx->sw_msi_lock);
	igroup->sw_msi_next = NULL;
	if (left) {
		left->num_sw_msi_groups--;
		iommufd_sw_msi_release(ictx, left);
	}
	mutex_unlock(&ictx->sw_msi_lock);
}

void iommufd_sw_msi_init_ctx(struct iommufd_ctx *ictx)
{
	mutex_init(&ictx->sw_msi_lock);
	INIT_LIST_HEAD(&ictx->sw_msi_list);
}

void iommufd_sw_msi_free_ctx(struct iommufd_ctx *ictx)
{
	struct iommufd_sw_msi_map *map, *tmp;

	list_for_each_entry_safe(map, tmp, &ictx->sw_msi_list, item)
		kfree(map);
	mutex_destroy(&ictx->sw_msi_lock);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMU objects: a guest's slice of a physical IOMMU instance.
 */
#include <linux/iommu.h>
#include <linux/iommu-viommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

/* Per bound device: one in use, the others to replace it */
#define MAX_VIOMMUS_PER_DEVICE	4

void iommufd_viommu_init_ctx(struct iommufd_ctx *ictx)
{
	mutex_init(&ictx->viommus_lock);
	INIT_LIST_HEAD(&ictx->idevs);
	INIT_LIST_HEAD(&ictx->viommus);
}

void iommufd_ctx_add_device(struct iommufd_device *idev)
{
	mutex_lock(&idev->ictx->viommus_lock);
	list_add(&idev->ictx_item, &idev->ictx->idevs);
	mutex_unlock(&idev->ictx->viommus_lock);
}

void iommufd_ctx_remove_device(struct iommufd_device *idev)
{
	mutex_lock(&idev->ictx->viommus_lock);
	list_del(&idev->ictx_item);
	mutex_unlock(&idev->ictx->viommus_lock);
}

/*
 * A vIOMMU takes a resource that all users of the instance share, such as a
 * VMID. The devices of the instance that are bound to this iommufd limit the
 * number of its vIOMMUs there.
 */
static int iommufd_ctx_add_viommu(struct iommufd_viommu *viommu)
{
	struct iommufd_ctx *ictx = viommu->ictx;
	struct iommufd_viommu *other;
	struct iommufd_device *idev;
	unsigned int room = 0;
	int rc = -ENOSPC;

	mutex_lock(&ictx->viommus_lock);
	list_for_each_entry(idev, &ictx->idevs, ictx_item)
		if (idev->dev->iommu->iommu_dev == viommu->iommu_dev)
			room += MAX_VIOMMUS_PER_DEVICE;
	list_for_each_entry(other, &ictx->viommus, ictx_item)
		if (room && other->iommu_dev == viommu->iommu_dev)
			room--;
	if (room) {
		list_add(&viommu->ictx_item, &ictx->viommus);
		rc = 0;
	}
	mutex_unlock(&ictx->viommus_lock);
	return rc;
}

static void iommufd_ctx_remove_viommu(struct iommufd_viommu *viommu)
{
	mutex_lock(&viommu->ictx->viommus_lock);
	list_del(&viommu->ictx_item);
	mutex_unlock(&viommu->ictx->viommus_lock);
}

void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu =
		container_of(obj, struct iommufd_viommu, obj);

	WARN_ON(!xa_empty(&viommu->core->vdevs));
	viommu->core->ops->free(viommu->core);
	iommufd_ctx_remove_viommu(viommu);
	module_put(viommu->iommu_dev->ops->owner);
	refcount_dec(&viommu->hwpt->common.obj.users);
}

/* Copy the data of user space for the driver, NULL if there is none */
static void *
iommufd_viommu_copy_data(const struct iommu_viommu_ops *ops,
			 const struct iommu_viommu_alloc *cmd)
{
	void *data;
	int rc;

	if (!ops->data_len || !cmd->data_len)
		return NULL;
	if (cmd->data_len < ops->data_len)
		return ERR_PTR(-EINVAL);
	if (cmd->data_len > PAGE_SIZE)
		return ERR_PTR(-E2BIG);

	data = kmalloc(ops->data_len, GFP_KERNEL_ACCOUNT);
	if (!data)
		return ERR_PTR(-ENOMEM);
	rc = copy_struct_from_user(data, ops->data_len,
				   u64_to_user_ptr(cmd->data_uptr),
				   cmd->data_len);
	if (rc) {
		kfree(data);
		return ERR_PTR(rc);
	}
	return data;
}

/* Copy the data back, as the driver has changed it */
static int iommufd_viommu_return_data(const struct iommu_viommu_ops *ops,
				      const void *data,
				      const struct iommu_viommu_alloc *cmd)
{
	if (data && copy_to_user(u64_to_user_ptr(cmd->data_uptr), data,
				 ops->data_len))
		return -EFAULT;
	return 0;
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_viommu_ops *viommu_ops;
	struct iommufd_hwpt_paging *hwpt_paging;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	const struct iommu_ops *ops;
	struct iommu_viommu *core;
	void *data;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	ops = dev_iommu_ops(idev->dev);
	if (!ops->viommu_ops) {
		rc = -EOPNOTSUPP;
		goto out_put_idev;
	}
	viommu_ops = ops->viommu_ops(idev->dev, cmd->type);
	if (IS_ERR_OR_NULL(viommu_ops)) {
		rc = viommu_ops ? PTR_ERR(viommu_ops) : -EOPNOTSUPP;
		goto out_put_idev;
	}

	hwpt_paging = iommufd_get_hwpt_paging(ucmd, cmd->hwpt_id);
	if (IS_ERR(hwpt_paging)) {
		rc = PTR_ERR(hwpt_paging);
		goto out_put_idev;
	}
	if (!hwpt_paging->nest_parent ||
	    hwpt_paging->common.domain->owner != ops) {
		rc = -EINVAL;
		goto out_put_hwpt;
	}

	data = iommufd_viommu_copy_data(viommu_ops, cmd);
	if (IS_ERR(data)) {
		rc = PTR_ERR(data);
		goto out_put_hwpt;
	}

	viommu = iommufd_object_alloc(ucmd->ictx, viommu, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu)) {
		rc = PTR_ERR(viommu);
		goto out_free_data;
	}
	viommu->ictx = ucmd->ictx;
	viommu->iommu_dev = idev->dev->iommu->iommu_dev;
	rc = iommufd_ctx_add_viommu(viommu);
	if (rc) {
		iommufd_object_abort(ucmd->ictx, &viommu->obj);
		goto out_free_data;
	}

	core = viommu_ops->alloc(idev->dev, hwpt_paging->common.domain, data);
	if (IS_ERR(core)) {
		rc = PTR_ERR(core);
		iommufd_ctx_remove_viommu(viommu);
		iommufd_object_abort(ucmd->ictx, &viommu->obj);
		goto out_free_data;
	}
	core->iommufd = viommu;
	core->id = viommu->obj.id;
	viommu->core = core;
	iommufd_viommu_init_events(viommu);
	/*
	 * The devices behind the instance hold the driver's module, and with it
	 * the instance. The vIOMMU may outlive them all, and holds the module
	 * itself.
	 */
	__module_get(ops->owner);
	viommu->hwpt = hwpt_paging;
	refcount_inc(&hwpt_paging->common.obj.users);

	/* Access to user memory may block: release the device before */
	iommufd_put_object(ucmd->ictx, &hwpt_paging->common.obj);
	iommufd_put_object(ucmd->ictx, &idev->obj);
	cmd->out_viommu_id = viommu->obj.id;
	rc = iommufd_viommu_return_data(core->ops, data, cmd);
	if (!rc)
		rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &viommu->obj);
	else
		iommufd_object_finalize(ucmd->ictx, &viommu->obj);
	kfree(data);
	return rc;

out_free_data:
	kfree(data);
out_put_hwpt:
	iommufd_put_object(ucmd->ictx, &hwpt_paging->common.obj);
out_put_idev:
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}

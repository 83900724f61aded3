using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters.Quantization;

/// <summary>
/// The tables that weights in NF4 are made and read with, on a device. All weights there share one set, which is uploaded for the first of
/// them and freed with the last.
/// </summary>
internal sealed class Nf4Tables
{
    private static readonly Lock s_turn = new();
    private static readonly Dictionary<string, Nf4Tables> s_tables = new(StringComparer.Ordinal);

    private readonly string _device;
    private int _users;

    private Nf4Tables(Device device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _device = device.ToString();
        Tensor pairs = tensor(Nf4Code.PairTable(), [256, 2]);
        Pairs = complex(pairs.select(1, 0).contiguous(), pairs.select(1, 1).contiguous()).to(device).DetachFromDisposeScope();
        Scales = tensor(Nf4Code.ScaleValues.ToArray(), device: device).DetachFromDisposeScope();
        ScaleMiddles = tensor(Nf4Code.ScaleMiddles.ToArray(), device: device).DetachFromDisposeScope();
        LastStep = tensor([65535f], device: device).DetachFromDisposeScope();
    }

    /// <summary>The values of a byte's two codes as one number of twice the size, which one look-up moves: complex64 [256].</summary>
    public Tensor Pairs { get; }

    /// <summary><see cref="Nf4Code.ScaleValues"/>.</summary>
    public Tensor Scales { get; }

    /// <summary><see cref="Nf4Code.ScaleMiddles"/>.</summary>
    public Tensor ScaleMiddles { get; }

    /// <summary>65,535 [1]: a division by a plain number is a product with its reciprocal on a card, which rounds otherwise.</summary>
    public Tensor LastStep { get; }

    /// <summary>The device's tables, for one more weight, which releases them when it goes.</summary>
    public static Nf4Tables Take(Device device)
    {
        lock (s_turn)
        {
            if (!s_tables.TryGetValue(device.ToString(), out Nf4Tables? tables))
            {
                tables = new Nf4Tables(device);
                s_tables.Add(tables._device, tables);
            }

            tables._users++;
            return tables;
        }
    }

    /// <summary>One weight fewer.</summary>
    public void Release()
    {
        lock (s_turn)
        {
            if (--_users == 0)
            {
                s_tables.Remove(_device);
                Pairs.Dispose();
                Scales.Dispose();
                ScaleMiddles.Dispose();
                LastStep.Dispose();
            }
        }
    }
}

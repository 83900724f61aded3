using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Interop;

/// <summary>
/// A vision transformer (Dosovitskiy et al., arXiv 2010.11929) as a user would write it: images of 16 × 16 in patches of 4 × 4, two
/// classes.
/// </summary>
internal sealed class VisionTransformer : nn.Module<Tensor, Tensor>
{
    private const int Width = 32;
    private const int Patch = 4;

    private readonly Linear patches = nn.Linear(Patch * Patch, Width);
    private readonly Parameter positions = new(zeros(1, 16, Width));
    private readonly ModuleList<Block> blocks = nn.ModuleList(new Block(), new Block());
    private readonly LayerNorm norm = nn.LayerNorm(Width);
    private readonly Linear head = nn.Linear(Width, 2);

    public VisionTransformer(int seed)
        : base(nameof(VisionTransformer))
    {
        RegisterComponents();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator((ulong)seed);
        foreach (Parameter parameter in parameters().Where(parameter => parameter.dim() > 1))
        {
            parameter.copy_(randn(parameter.shape, generator: generator) * 0.2);
        }
    }

    public override Tensor forward(Tensor images)
    {
        long count = images.shape[0];
        Tensor cut = images.view(count, 4, Patch, 4, Patch).transpose(2, 3).reshape(count, 16, Patch * Patch);
        Tensor tokens = patches.forward(cut) + positions;
        foreach (Block block in blocks)
        {
            tokens = block.forward(tokens);
        }

        return head.forward(norm.forward(tokens).mean([1]));
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        private const int Heads = 4;

        private readonly LayerNorm before = nn.LayerNorm(Width);
        private readonly Linear qkv = nn.Linear(Width, 3 * Width);
        private readonly Linear @out = nn.Linear(Width, Width);
        private readonly LayerNorm between = nn.LayerNorm(Width);
        private readonly Linear up = nn.Linear(Width, 2 * Width);
        private readonly Linear down = nn.Linear(2 * Width, Width);

        public Block()
            : base(nameof(Block)) => RegisterComponents();

        public override Tensor forward(Tensor tokens)
        {
            Tensor[] parts = qkv.forward(before.forward(tokens))
                .view(tokens.shape[0], tokens.shape[1], 3 * Heads, -1)
                .transpose(1, 2)
                .chunk(3, 1);
            Tensor mixed = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape(tokens.shape);
            Tensor attended = tokens + @out.forward(mixed);
            return attended + down.forward(nn.functional.gelu(up.forward(between.forward(attended))));
        }
    }
}

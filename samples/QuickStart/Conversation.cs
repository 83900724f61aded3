using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>Questions from the keyboard, each answered on its own: the model remembers none of those before.</summary>
internal static class Conversation
{
    public static void Run(SorsaTransformer model)
    {
        Console.WriteLine("Ask the model; an empty line ends.");
        while (true)
        {
            Console.Write("> ");
            if (Console.ReadLine() is not { Length: > 0 } question)
            {
                return;
            }

            foreach (string piece in model.Stream(question))
            {
                Console.Write(piece);
            }

            Console.WriteLine();
        }
    }
}

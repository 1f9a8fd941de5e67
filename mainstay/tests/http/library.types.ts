export type Json =
  | string
  | number
  | boolean
  | null
  | { [key: string]: Json | undefined }
  | Json[]

export type Database = {
  // Allows to automatically instantiate createClient with right options
  // instead of createClient<Database, { PostgrestVersion: 'XX' }>(URL, KEY)
  __InternalSupabase: {
    PostgrestVersion: "14"
  }
  public: {
    Tables: {
      authors: {
        Row: {
          born: string | null
          id: number
          links: Json | null
          name: string
          tags: string[]
          display_name: string | null
        }
        Insert: {
          born?: string | null
          id?: never
          links?: Json | null
          name: string
          tags?: string[]
        }
        Update: {
          born?: string | null
          id?: never
          links?: Json | null
          name?: string
          tags?: string[]
        }
        Relationships: []
      }
      book_details: {
        Row: {
          blurb: string | null
          book_id: string
        }
        Insert: {
          blurb?: string | null
          book_id: string
        }
        Update: {
          blurb?: string | null
          book_id?: string
        }
        Relationships: [
          {
            foreignKeyName: "book_details_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: true
            referencedRelation: "books"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "book_details_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: true
            referencedRelation: "novels"
            referencedColumns: ["id"]
          },
        ]
      }
      book_shelves: {
        Row: {
          book_id: string
          shelf_id: number
        }
        Insert: {
          book_id: string
          shelf_id: number
        }
        Update: {
          book_id?: string
          shelf_id?: number
        }
        Relationships: [
          {
            foreignKeyName: "book_shelves_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: false
            referencedRelation: "books"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "book_shelves_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: false
            referencedRelation: "novels"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "book_shelves_shelf_id_fkey"
            columns: ["shelf_id"]
            isOneToOne: false
            referencedRelation: "shelves"
            referencedColumns: ["id"]
          },
        ]
      }
      books: {
        Row: {
          added_at: string
          author_id: number
          cover: string | null
          genre: Database["public"]["Enums"]["genre"]
          id: string
          is_lent: boolean
          isbn: string | null
          old_prices: number[] | null
          other_genres: Database["public"]["Enums"]["genre"][] | null
          pages: number
          price: number | null
          read_aloud: string | null
          "shelf-mark": string | null
          title: string
          title_length: number | null
          translator_id: number | null
          weight: number | null
          title_words: string[] | null
        }
        Insert: {
          added_at?: string
          author_id: number
          cover?: string | null
          genre?: Database["public"]["Enums"]["genre"]
          id?: string
          is_lent?: boolean
          isbn?: string | null
          old_prices?: number[] | null
          other_genres?: Database["public"]["Enums"]["genre"][] | null
          pages: number
          price?: number | null
          read_aloud?: string | null
          "shelf-mark"?: string | null
          title: string
          title_length?: number | null
          translator_id?: number | null
          weight?: number | null
        }
        Update: {
          added_at?: string
          author_id?: number
          cover?: string | null
          genre?: Database["public"]["Enums"]["genre"]
          id?: string
          is_lent?: boolean
          isbn?: string | null
          old_prices?: number[] | null
          other_genres?: Database["public"]["Enums"]["genre"][] | null
          pages?: number
          price?: number | null
          read_aloud?: string | null
          "shelf-mark"?: string | null
          title?: string
          title_length?: number | null
          translator_id?: number | null
          weight?: number | null
        }
        Relationships: [
          {
            foreignKeyName: "books_author_id_fkey"
            columns: ["author_id"]
            isOneToOne: false
            referencedRelation: "authors"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "books_translator_id_fkey"
            columns: ["translator_id"]
            isOneToOne: false
            referencedRelation: "authors"
            referencedColumns: ["id"]
          },
        ]
      }
      loans: {
        Row: {
          book_id: string
          id: number
          state: Database["public"]["Enums"]["loan_state"]
        }
        Insert: {
          book_id: string
          id?: number
          state?: Database["public"]["Enums"]["loan_state"]
        }
        Update: {
          book_id?: string
          id?: number
          state?: Database["public"]["Enums"]["loan_state"]
        }
        Relationships: [
          {
            foreignKeyName: "loans_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: false
            referencedRelation: "books"
            referencedColumns: ["id"]
          },
          {
            foreignKeyName: "loans_book_id_fkey"
            columns: ["book_id"]
            isOneToOne: false
            referencedRelation: "novels"
            referencedColumns: ["id"]
          },
        ]
      }
      shelves: {
        Row: {
          id: number
          label: string
        }
        Insert: {
          id?: number
          label: string
        }
        Update: {
          id?: number
          label?: string
        }
        Relationships: []
      }
    }
    Views: {
      genre_counts: {
        Row: {
          books: number | null
          genre: Database["public"]["Enums"]["genre"] | null
          titles: string[] | null
        }
        Relationships: []
      }
      novels: {
        Row: {
          author_id: number | null
          id: string | null
          loud_title: string | null
          title: string | null
        }
        Insert: {
          author_id?: number | null
          id?: string | null
          loud_title?: never
          title?: string | null
        }
        Update: {
          author_id?: number | null
          id?: string | null
          loud_title?: never
          title?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "books_author_id_fkey"
            columns: ["author_id"]
            isOneToOne: false
            referencedRelation: "authors"
            referencedColumns: ["id"]
          },
        ]
      }
    }
    Functions: {
      books_of: {
        Args: { author: Database["public"]["Tables"]["authors"]["Row"] }
        Returns: {
          added_at: string
          author_id: number
          cover: string | null
          genre: Database["public"]["Enums"]["genre"]
          id: string
          is_lent: boolean
          isbn: string | null
          old_prices: number[] | null
          other_genres: Database["public"]["Enums"]["genre"][] | null
          pages: number
          price: number | null
          read_aloud: string | null
          "shelf-mark": string | null
          title: string
          title_length: number | null
          translator_id: number | null
          weight: number | null
        }[]
        SetofOptions: {
          from: "authors"
          to: "books"
          isOneToOne: false
          isSetofReturn: true
        }
      }
      by_isbn: { Args: { code: string }; Returns: string }
      counts_since: {
        Args: { since?: string }
        Returns: {
          books: number
          genre: Database["public"]["Enums"]["genre"]
        }[]
      }
      display_name: {
        Args: { "": Database["public"]["Tables"]["authors"]["Row"] }
        Returns: {
          error: true
        } & "the function public.display_name with parameter or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache"
      }
      first_author: {
        Args: { book: Database["public"]["Tables"]["books"]["Row"] }
        Returns: {
          born: string | null
          id: number
          links: Json | null
          name: string
          tags: string[]
        }
        SetofOptions: {
          from: "books"
          to: "authors"
          isOneToOne: true
          isSetofReturn: true
        }
      }
      genres_of: {
        Args: { book: string }
        Returns: Database["public"]["Enums"]["genre"][]
      }
      give_back: { Args: { loan: number }; Returns: undefined }
      newest_book: {
        Args: never
        Returns: {
          added_at: string
          author_id: number
          cover: string | null
          genre: Database["public"]["Enums"]["genre"]
          id: string
          is_lent: boolean
          isbn: string | null
          old_prices: number[] | null
          other_genres: Database["public"]["Enums"]["genre"][] | null
          pages: number
          price: number | null
          read_aloud: string | null
          "shelf-mark": string | null
          title: string
          title_length: number | null
          translator_id: number | null
          weight: number | null
        }
        SetofOptions: {
          from: "*"
          to: "books"
          isOneToOne: true
          isSetofReturn: false
        }
      }
      price_of:
        | { Args: { book: string }; Returns: number }
        | { Args: { currency: string; title: string }; Returns: string }
      search_books: {
        Args: { at_most?: number; term: string }
        Returns: {
          added_at: string
          author_id: number
          cover: string | null
          genre: Database["public"]["Enums"]["genre"]
          id: string
          is_lent: boolean
          isbn: string | null
          old_prices: number[] | null
          other_genres: Database["public"]["Enums"]["genre"][] | null
          pages: number
          price: number | null
          read_aloud: string | null
          "shelf-mark": string | null
          title: string
          title_length: number | null
          translator_id: number | null
          weight: number | null
        }[]
        SetofOptions: {
          from: "*"
          to: "books"
          isOneToOne: false
          isSetofReturn: true
        }
      }
      shelf_of:
        | {
            Args: { label: number }
            Returns: {
              error: true
            } & "Could not choose the best candidate function between: public.shelf_of(label => int4), public.shelf_of(label => text). Try renaming the parameters or the function itself in the database so function overloading can be resolved"
          }
        | {
            Args: { label: string }
            Returns: {
              error: true
            } & "Could not choose the best candidate function between: public.shelf_of(label => int4), public.shelf_of(label => text). Try renaming the parameters or the function itself in the database so function overloading can be resolved"
          }
      take: { Args: { document: Json }; Returns: Json }
      title_words: {
        Args: { "": Database["public"]["Tables"]["books"]["Row"] }
        Returns: {
          error: true
        } & "the function public.title_words with parameter or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache"
      }
      titles: { Args: never; Returns: string[] }
    }
    Enums: {
      genre:
        | "novel"
        | "poetry"
        | "essay"
        | "biography"
        | "reference"
        | "children's book"
        | 'graphic "novel"'
      loan_state: "open" | "returned" | "lost"
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
  stacks: {
    Tables: {
      rooms: {
        Row: {
          floor: Database["stacks"]["Enums"]["floor"]
          id: number
          opens: string | null
        }
        Insert: {
          floor: Database["stacks"]["Enums"]["floor"]
          id?: number
          opens?: string | null
        }
        Update: {
          floor?: Database["stacks"]["Enums"]["floor"]
          id?: number
          opens?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      [_ in never]: never
    }
    Enums: {
      floor: "ground" | "first"
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] &
        DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] &
        DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
        Row: infer R
      }
      ? R
      : never
    : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Insert: infer I
      }
      ? I
      : never
    : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Update: infer U
      }
      ? U
      : never
    : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
    : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
    : never

export const Constants = {
  public: {
    Enums: {
      genre: [
        "novel",
        "poetry",
        "essay",
        "biography",
        "reference",
        "children's book",
        'graphic "novel"',
      ],
      loan_state: ["open", "returned", "lost"],
    },
  },
  stacks: {
    Enums: {
      floor: ["ground", "first"],
    },
  },
} as const
